"""What a kind of source is: a module scrapers/KIND.py with one function, and what that function gives.

    def scrape(source: KindSource, cursor: Cursor | None, settings: Settings) -> Iterator[Page]

It gives what the source has after `cursor`, page by page, and raises MynahError with one line where it cannot. The
cursor is whatever the module needs to go on: the id of the last post, or the hash of a file. It is None the first time.
A page is written to the bucket together with its cursor, so that a scrape which is killed goes on from the last page
that was written. Documents that are in the bucket already are left out by their id, so a module may give one twice.
"""

from dataclasses import dataclass
from typing import Any

from mynah.document import Document

Cursor = dict[str, Any]
"""JSON data."""


@dataclass(frozen=True)
class Page:
    """Documents, and where to go on after them."""

    documents: list[Document]
    cursor: Cursor | None
    """While it stays what it was, pages are gathered and written as one."""
    unchanged: int = 0
    """Documents that the source still has, and that were not read again: they count as found."""
