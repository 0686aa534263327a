"""The peak of a training's memory, of all its processes."""

import subprocess
import sys

from training.memory_used import EVERY

SIZE = 300 << 20  # bytes


# In a process of its own: what other tests have started does not count.
MEASURE = f"""
import subprocess, sys
from training.memory_used import peak_of_all, peak_of_this

child = "import sys, time; kept = b'x' * int(sys.argv[1]); time.sleep({3 * EVERY})"
peaks = []
for size in (1, {SIZE}):
    with peak_of_all() as peak:
        subprocess.run([sys.executable, "-c", child, str(size)], check=True)
    peaks.append(peak[0])
print(*peaks, peak_of_this())
"""


def test_the_peak_is_of_all_processes_together():
    said = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True).stdout
    before, after, this = map(int, said.split())
    assert SIZE * 0.95 < after - before < SIZE * 1.2
    assert 0 < this < after
