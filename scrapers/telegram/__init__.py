"""The telegram source: a channel's posts, from the newest back.

They are read from the preview pages on t.me, or, where the source names a session, through Telegram's API. A post has
the same id both ways, so that one may follow the other.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mynah.bot.sources.telegram import TelegramSource
from mynah.settings import Settings
from scrapers.page import Context, Cursor, Page
from scrapers.telegram import preview
from scrapers.walk import Id, Read, Stretch, walk

PAUSE = 1.0  # seconds between two pages: the history of a large channel is thousands of them


def scrape(source: TelegramSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts that are newer than what was read before, page by page from the newest back.

    The cursor holds the `channel`, and the state of the walk.
    Raises MynahError with one line where there is no such channel, or it may not be read.
    """
    state = cursor if cursor and cursor["channel"] == source.channel else {"through": 0}
    with _reader(source, context.settings) as read:

        def read_slowly(before: Id | None) -> Stretch:
            if before is not None:
                time.sleep(PAUSE)
            return read(before)

        for page in walk(state, source.limit, read_slowly):
            yield replace(page, cursor={"channel": source.channel, **(page.cursor or {})})


@contextmanager
def _reader(source: TelegramSource, settings: Settings) -> Iterator[Read]:
    if source.session is None:
        yield lambda before: preview.read(source.channel, before, settings)
        return
    from scrapers.telegram import history  # Telethon is of use here alone

    with history.reader(source, source.session, settings) as read:
        yield read
