"""A kind of source or account for a test's time: what a new module and a line of a table do for good."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from mynah.bot import Bot, BotFile, BotSpec
from mynah.bot.chart import Values
from mynah.bot.kinds import Kind

K = TypeVar("K", bound=Kind)


@contextmanager
def added(kinds: dict[str, type[K]], name: str, kind: type[K]) -> Iterator[None]:
    """Have `kind` in the table `kinds` (mynah.bot.sources.KINDS or mynah.bot.accounts.KINDS) under its name."""
    kinds[name] = kind
    _build()
    try:
        yield
    finally:
        del kinds[name]
        _build()


def _build() -> None:
    """The models read the tables when they are built; those that contain others come after them."""
    for model in (BotSpec, BotFile, Bot, Values):
        model.model_rebuild(force=True)
