"""Where texts come from: a module per kind of source. A new kind is a module and a line of KINDS."""

from typing import Annotated

from mynah.bot.kinds import OneOf
from mynah.bot.sources.article import ArticleSource
from mynah.bot.sources.bluesky import BlueskySource
from mynah.bot.sources.cohort import CohortSource
from mynah.bot.sources.feed import FeedSource
from mynah.bot.sources.file import FileSource
from mynah.bot.sources.mastodon import MastodonSource
from mynah.bot.sources.source import Source
from mynah.bot.sources.telegram import TelegramSource
from mynah.bot.sources.x import XSource

__all__ = ["KINDS", "AnySource", "Source"]

KINDS: dict[str, type[Source]] = {
    "file": FileSource,
    "feed": FeedSource,
    "telegram": TelegramSource,
    "mastodon": MastodonSource,
    "bluesky": BlueskySource,
    "x": XSource,
    "cohort": CohortSource,
    "article": ArticleSource,
}

AnySource = Annotated[Source, OneOf(KINDS, default="file")]
