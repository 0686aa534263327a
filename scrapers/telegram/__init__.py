"""The telegram source: a channel's posts, from the newest back.

They are read from the preview pages on t.me, or, where the source names a session, through Telegram's API. A post has
the same id both ways, so one may follow the other.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mynah.bot.sources.telegram import TelegramSource
from mynah.settings import Settings
from scrapers.page import Context, Cursor, Page
from scrapers.telegram import preview
from scrapers.telegram.posts import Posts

PAUSE = 1.0  # seconds between two pages: the history of a large channel is thousands of them

Read = Callable[[int | None], Posts]
"""Reads the posts before one, or the newest."""


def scrape(source: TelegramSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts that are newer than what was read before, page by page from the newest back.

    The cursor holds the `channel`, and `through`, up to which post everything was read; and in the middle of a walk
    back the `newest` post of that walk, `before` which post it goes on, and how many posts it has `seen`. A walk that
    was interrupted is ended first, and then what is new since it began is read.
    Raises MynahError with one line where there is no such channel, or it may not be read.
    """
    state = cursor if cursor and cursor["channel"] == source.channel else {"channel": source.channel, "through": 0}
    with _reader(source, context.settings) as read:
        while True:
            interrupted = "before" in state
            for page in _walk(source, state, read):
                yield page
                state = page.cursor or state
            if not interrupted:
                return


@contextmanager
def _reader(source: TelegramSource, settings: Settings) -> Iterator[Read]:
    if source.session is None:
        yield lambda before: preview.read(source.channel, before, settings)
        return
    from scrapers.telegram import history  # Telethon is of use here alone

    with history.reader(source, source.session, settings) as read:
        yield read


def _walk(source: TelegramSource, state: Cursor, read: Read) -> Iterator[Page]:
    through, newest, before, seen = state["through"], state.get("newest", 0), state.get("before"), state.get("seen", 0)
    limit = source.limit if through == 0 else None
    while True:
        posts = read(before)
        newest = max([newest, *posts.ids])
        seen += len(posts.ids)
        older = posts.before
        if older is None or min(posts.ids, default=0) <= through or (limit and seen >= limit):
            fresh = [document for document in posts.documents if int(document.id.rpartition("/")[2]) > through]
            yield Page(fresh, {"channel": source.channel, "through": max(newest, through)})
            return
        yield Page(posts.documents, {**state, "newest": newest, "before": older, "seen": seen})
        before = older
        time.sleep(PAUSE)
