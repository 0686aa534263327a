"""How much memory a training takes at its peak."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

EVERY = 1.0  # seconds between two looks, at the least
SHARE = 30  # times as long as a look takes is waited until the next one: at most 3 % of a core


@contextmanager
def peak_of_all() -> Iterator[list[int]]:
    """While the block runs, look at this process and all that descend from it.

    Yields a list of one number: the most bytes that a look has found so far, a page that several share counted once
    (PSS). It stays 0 where the system does not tell.
    """
    peak, stop = [0], threading.Event()

    def look() -> None:
        pause = 0.0
        while not stop.wait(pause):
            begin = time.monotonic()
            peak[0] = max(peak[0], _now())
            pause = max(EVERY, SHARE * (time.monotonic() - begin))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def peak_of_this() -> int:
    """The most bytes that this process has had in memory (its resident set) since it began."""
    return 1024 * _kilobytes(Path("/proc/self/status"), "VmHWM:")


def _now() -> int:
    me = psutil.Process()
    pids = [me.pid, *(child.pid for child in me.children(recursive=True))]
    return 1024 * sum(_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in pids)


def _kilobytes(file: Path, key: str) -> int:
    """What `file` of /proc says of `key`; 0 where the process has ended, or the system has no such file."""
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0
