"""The source `bluesky`."""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source

HANDLE = r"[a-z0-9-]+(?:\.[a-z0-9-]+)+"


def _account(value: str) -> str:
    """A handle, @handle, a DID or a profile's address → the handle in lower case, or the DID."""
    name = re.sub(r"^https://bsky\.app/profile/([^/]+)/?$", r"\1", value.strip()).removeprefix("@")
    if re.fullmatch(rf"did:plc:[a-z2-7]+|did:web:{HANDLE}", name):
        return name
    if not re.fullmatch(HANDLE, name.lower()):
        raise ValueError(f"{value!r} names no account: write its handle, as in bsky.app, or its DID")
    return name.lower()


class BlueskySource(Source):
    """Accounts on Bluesky: all of their posts, from each account's own server, without a key. It counts no likes."""

    kind: Literal["bluesky"]
    """What sort of source this is."""
    accounts: Annotated[list[Annotated[str, AfterValidator(_account)]], Unit("list of handles or DIDs")] = Field(
        min_length=1
    )
    """The accounts, each by its handle or its DID, which stays when the handle changes. They are read in turn."""
    since: Annotated[date | None, Unit("day")] = None
    """Posts before this day, in UTC, are not read."""
    limit: Annotated[int | None, Unit("posts")] = Field(default=None, ge=1)
    """How far the first scrape of an account goes back: about so many posts, or to its beginning. Later ones read what
    is new."""
    replies: bool = True
    """Whether to keep answers to others. What an account answers to itself is always kept."""
    quotes: bool = True
    """Whether to keep posts that show another post."""
