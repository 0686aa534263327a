"""The feed source: the entries of an RSS or Atom feed, by their own words."""

import io
from collections.abc import Iterator
from typing import Any

import feedparser

from mynah.bot.sources.feed import FeedSource
from mynah.document import Document, text_id
from mynah.errors import MynahError
from scrapers.markup import plain_text
from scrapers.page import Context, Cursor, Page
from scrapers.whole import scrape_whole

READING = 1  # raised when the same feed gives other documents than before, so that feeds are read again
PARTS = ("content", "summary", "title")  # `auto` takes the first


def scrape(source: FeedSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The entries that the feed has now; a server is not asked for one that has not changed.

    Raises MynahError with one line where there is no feed.
    """
    yield from scrape_whole(source, cursor, context, READING, lambda stream, _: read_documents(stream.read(), source))


def read_documents(data: bytes, source: FeedSource) -> list[Document]:
    """The documents in a feed, in its order; entries without a text are passed over.

    Raises MynahError where `data` is no feed. What XML forbids and readers of feeds put up with is put up with.
    """
    feed = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
    if not feed.get("version") and not feed.entries:
        why = f": {feed.bozo_exception}" if feed.bozo else ""
        raise MynahError(f"{source.url}: is no RSS or Atom feed{why}")
    parts = PARTS if source.text == "auto" else (source.text,)
    documents = []
    for entry in feed.entries:
        text = next((text for part in parts if (text := _part(entry, part))), "")
        if text:
            documents.append(
                Document(
                    id=entry.get("id") or entry.get("link") or text_id(text),
                    text=text,
                    author=entry.get("author") or None,
                    created_at=entry.get("published") or entry.get("updated") or None,
                )
            )
    return documents


def _part(entry: Any, part: str) -> str:
    """A part of an entry as plain text, "" where it has none."""
    found = next(iter(entry.get("content", ())), None) if part == "content" else entry.get(f"{part}_detail")
    if not found:
        return ""
    value = str(found.get("value") or "")
    return value.strip() if found.get("type") == "text/plain" else plain_text(value)
