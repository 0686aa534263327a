"""What a kind of source is: a module scrapers/KIND.py with one function, and what that function gives.

    def scrape(source: KindSource, cursor: Cursor | None, context: Context) -> Iterator[Page]

It gives what the source has after `cursor`, page by page, and raises MynahError with one line where it cannot. The
cursor is whatever the module needs to go on: the id of the last post, or the hash of a file. It is None the first time.
A page is written to the bucket together with its cursor, so that a scrape which is killed goes on from the last page
that was written. Documents that are in the bucket already are left out by their id, so a module may give one twice.

A kind that costs money has a second one, which tells what a scrape would cost and asks the service nothing:

    def estimate(source: KindSource, cursor: Cursor | None, context: Context) -> Cost

What fails in a part, such as one account of a list, is a problem of a page, and the rest goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mynah.document import Document
from mynah.settings import Settings

Cursor = dict[str, Any]
"""JSON data."""


def _nothing(id: str) -> bool:
    return False


@dataclass(frozen=True)
class Context:
    """Who asks a source, and in which surroundings."""

    bot: str
    """The bot's name."""
    name: str
    """The source's name in the bot file."""
    settings: Settings
    max_cost_usd: float = 0.0
    """What the bot's sources may cost this month together, where they cost anything."""
    kept: Callable[[str], bool] = _nothing
    """Whether the bucket has a document of this source with this id."""


@dataclass(frozen=True)
class Page:
    """Documents, and where to go on after them."""

    documents: list[Document]
    cursor: Cursor | None
    """While it stays what it was, pages are gathered and written as one."""
    unchanged: int = 0
    """Documents that the source still has, and that were not read again: they count as found."""
    problems: tuple[str, ...] = ()
    """What could not be read, a line each: what, why, and what to do."""
