"""The source `mastodon`."""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source


def _account(value: str) -> str:
    """user@instance, @user@instance or an account's address → user@instance, in lower case."""
    name = re.sub(r"^https://([^/@]+)/@([^/@]+)/?$", r"\2@\1", value.strip()).removeprefix("@").lower()
    if not re.fullmatch(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?@[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?", name):
        raise ValueError(f"{value!r} names no account: write user@instance, as in gargron@mastodon.social")
    return name


class MastodonSource(Source):
    """Accounts on Mastodon, or on a server that speaks as Mastodon does: their public posts, without a key."""

    kind: Literal["mastodon"]
    """What sort of source this is."""
    accounts: Annotated[list[Annotated[str, AfterValidator(_account)]], Unit("list of user@instance")] = Field(
        min_length=1
    )
    """The accounts, each as `user@instance` or by its address. They are read in turn."""
    since: Annotated[date | None, Unit("day")] = None
    """Posts before this day, in UTC, are not read."""
    limit: Annotated[int | None, Unit("posts")] = Field(default=None, ge=1)
    """How far the first scrape of an account goes back: about so many posts, or to its beginning. Later ones read what
    is new."""
    boosts: bool = True
    """Whether to keep what an account only passed on. It is marked as a repost."""
    replies: bool = True
    """Whether to keep answers to others. What an account answers to itself is always kept."""
