"""The peak of a training's memory, of all its processes."""

import subprocess
import sys

from training.memory_used import EVERY, peak_of_all, peak_of_this

SIZE = 300 << 20  # bytes


def test_the_peak_is_of_all_processes_together():
    code = f"import sys, time; kept = b'x' * {SIZE}; print('full', flush=True); time.sleep({2 * EVERY})"
    with peak_of_all() as before:
        subprocess.run([sys.executable, "-c", f"import time; time.sleep({1.5 * EVERY})"], check=True)
    with peak_of_all() as after:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    assert SIZE * 0.95 < after[0] - before[0] < SIZE * 1.2
    assert 0 < peak_of_this() < after[0]
