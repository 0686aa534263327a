"""The source `feed`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source


class FeedSource(Source):
    """A feed: RSS or Atom. Every entry of it is a document, by its own words; no other page is read."""

    kind: Literal["feed"]
    """What sort of source this is."""
    url: Annotated[str, Unit("address")] = Field(min_length=1)
    """Where the feed lies: an address that begins with `http://` or `https://`, or whatever a file source reads."""
    text: Literal["auto", "content", "summary", "title"] = "auto"
    """Which part of an entry is the document. `auto` takes the first that an entry has, in this order: content,
    summary, title. HTML in it becomes plain text."""
