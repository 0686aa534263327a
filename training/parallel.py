"""The same work on many things, by several processes, in order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
PROCESSES = 4  # at the most; each takes some 100 MB
WORTH = 8  # pieces of work, from which on it is worth to start processes


def in_order(work: Callable[[T], R], pieces: Iterable[T], processes: int | None = None) -> Iterator[R]:
    """What `work` makes of each piece, in their order. `work` and what it takes and gives must be picklable.

    Only a few pieces are under way at a time, however many there are. A few pieces are done by this process.
    """
    processes = processes or min(len(os.sched_getaffinity(0)), PROCESSES)
    waiting = iter(pieces)
    first = list(islice(waiting, WORTH))
    if processes == 1 or len(first) < WORTH:
        yield from map(work, chain(first, waiting))
        return
    # Forked, a process would hold the locks of threads that it does not have.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        running: deque[Future[R]] = deque()
        try:
            for piece in chain(first, waiting):
                running.append(pool.submit(work, piece))
                if len(running) > 2 * processes:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
