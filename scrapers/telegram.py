"""The telegram source: a public channel, by its preview pages on t.me, from the newest post back."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import html

from mynah.bot.sources.telegram import TelegramSource
from mynah.document import Document
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.fetch import fetch
from scrapers.markup import element_text
from scrapers.page import Context, Cursor, Page

PAUSE = 1.0  # seconds between two pages: the history of a large channel is thousands of them
TIMES = {"K": 1_000, "M": 1_000_000}


@dataclass(frozen=True)
class Preview:
    """One page of a channel's preview."""

    documents: list[Document]
    """Its posts that have a text, oldest first."""
    ids: list[int]
    """Of all its posts."""
    before: int | None
    """Where the page of older posts ends; None where there are none."""


def scrape(source: TelegramSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts that are newer than what was read before, page by page from the newest back.

    The cursor holds the `channel`, and `through`, up to which post everything was read; and in the middle of a walk
    back the `newest` post of that walk, `before` which post it goes on, and how many posts it has `seen`. A walk that
    was interrupted is ended first, and then what is new since it began is read.
    Raises MynahError with one line where there is no such channel, or it shows no preview.
    """
    state = cursor if cursor and cursor["channel"] == source.channel else {"channel": source.channel, "through": 0}
    while True:
        interrupted = "before" in state
        for page in _walk(source, state, context.settings):
            yield page
            state = page.cursor or state
        if not interrupted:
            return


def _walk(source: TelegramSource, state: Cursor, settings: Settings) -> Iterator[Page]:
    through, newest, before, seen = state["through"], state.get("newest", 0), state.get("before"), state.get("seen", 0)
    limit = source.limit if through == 0 else None
    while True:
        preview = _read(source.channel, before, settings)
        newest = max([newest, *preview.ids])
        seen += len(preview.ids)
        older = preview.before
        if older is None or min(preview.ids, default=0) <= through or (limit and seen >= limit):
            fresh = [document for document in preview.documents if int(document.id.rpartition("/")[2]) > through]
            yield Page(fresh, {"channel": source.channel, "through": max(newest, through)})
            return
        yield Page(preview.documents, {**state, "newest": newest, "before": older, "seen": seen})
        before = older
        time.sleep(PAUSE)


def _read(channel: str, before: int | None, settings: Settings) -> Preview:
    url = f"{settings.telegram_url}/s/{channel}" + (f"?before={before}" if before else "")
    preview = read_page(fetch(url, settings.allow_private).body or b"", channel)
    if preview is None:
        raise MynahError(
            f"{url}: shows no posts: there is no public channel {channel}, or its owner turned the preview off"
        )
    if preview.before is not None and preview.before >= (before or preview.before + 1):
        raise MynahError(f"{url}: its older posts begin at {preview.before}, which leads back here: try again later")
    return preview


def read_page(data: bytes, channel: str) -> Preview | None:
    """What a preview page holds; None where it is another page, as Telegram answers for a channel without preview."""
    page = html.document_fromstring(data or b"<p>", parser=html.HTMLParser(encoding="utf-8", huge_tree=True))
    if not page.find_class("tgme_channel_history"):
        return None
    documents, ids = [], []
    for post in page.find_class("tgme_widget_message"):
        id = post.get("data-post", "")  # NAME/NUMBER
        if not (number := re.search(r"/(\d+)$", id)):
            continue
        ids.append(int(number[1]))
        text = _first(post.find_class("js-message_text"))  # not of what it answers to, nor of a page it links to
        if text and "service_message" not in post.classes:
            views = _number(post.find_class("tgme_widget_message_views"))
            documents.append(
                Document(
                    id=id,
                    text=text,
                    author=_first(post.find_class("tgme_widget_message_from_author")) or channel,
                    created_at=next(iter(post.xpath(".//a[contains(@class, 'message_date')]//time/@datetime")), None),
                    numbers={} if views is None else {"views": views},
                    repost=bool(post.find_class("tgme_widget_message_forwarded_from")),
                )
            )
    links = page.xpath("//link[@rel='prev']/@href") + page.xpath("//a[contains(@class, 'tme_messages_more')]/@href")
    older = [int(found[1]) for link in links if (found := re.search(r"[?&]before=(\d+)", link))]
    return Preview(documents, ids, min(older, default=None))


def _first(found: list[html.HtmlElement]) -> str:
    return element_text(found[0]) if found else ""


def _number(found: list[html.HtmlElement]) -> int | None:
    """33.4K → 33400."""
    read = re.fullmatch(r"(\d+(?:\.\d+)?)([KM]?)", _first(found))
    return round(float(read[1]) * TIMES.get(read[2], 1)) if read else None
