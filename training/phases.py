"""Where the time of a training goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

Phases = dict[str, float]
"""Seconds by phase, in the order in which the phases came."""


@contextmanager
def timed(phases: Phases, phase: str) -> Iterator[None]:
    """Add the seconds that the block takes to those of `phase`."""
    begin = time.monotonic()
    try:
        yield
    finally:
        phases[phase] = phases.get(phase, 0.0) + time.monotonic() - begin


def table(phases: Phases) -> list[str]:
    """A line per phase: its name, its seconds, its share of all."""
    total = sum(phases.values())
    width = max(map(len, phases), default=0)
    return [f"  {phase:<{width}}  {seconds:7.1f} s  {seconds / total:4.0%}" for phase, seconds in phases.items()]
