"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. Always on stderr."""

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
PLAIN_EVERY = 10.0  # seconds between two plain lines
PLAIN = re.compile(r".+: \S+ of \S+, \d+ s left\b")
"""What a plain line begins with."""


class Advance(Protocol):
    """Called with the work done so far and what to say beside it (a loss, a count)."""

    def __call__(self, done: float, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: float) -> Iterator[Advance]:
    """Show how far `what` has come, out of `total`, with the time left."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=note)
        return

    start = last = time.monotonic()

    def plain(done: float, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done and (now - last >= PLAIN_EVERY or done >= total):
            last = now
            left = (now - start) / done * max(total - done, 0)
            print(f"{what}: {done:g} of {total:g}, {left:.0f} s left  {note}".rstrip(), file=sys.stderr, flush=True)

    yield plain


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Iterate while showing progress."""
    with progress(what, total) as advance:
        for done, item in enumerate(items, 1):
            yield item
            advance(done)


def duration(seconds: float) -> str:
    """A time in words, in its two largest units: 44 h 36 min, 9 min 5 s, 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
