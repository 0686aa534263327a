"""The telegram source: a public channel, by its preview pages on t.me, from the newest post back."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

from lxml import html

from mynah.bot.sources.telegram import TelegramSource
from mynah.document import Document
from mynah.errors import MynahError
from scrapers.fetch import fetch
from scrapers.markup import element_text
from scrapers.page import Context, Cursor, Page
from scrapers.walk import Id, Stretch, walk

PAUSE = 1.0  # seconds between two pages: the history of a large channel is thousands of them
TIMES = {"K": 1_000, "M": 1_000_000}


def scrape(source: TelegramSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts that are newer than what was read before, page by page from the newest back.

    The cursor holds the `channel`, and the state of the walk.
    Raises MynahError with one line where there is no such channel, or it shows no preview.
    """
    state = cursor if cursor and cursor["channel"] == source.channel else {"through": 0}

    def read(before: Id | None) -> Stretch:
        if before is not None:
            time.sleep(PAUSE)
        url = f"{context.settings.telegram_url}/s/{source.channel}" + (f"?before={before}" if before else "")
        preview = read_page(fetch(url, context.settings.allow_private).body or b"", source.channel)
        if preview is None:
            raise MynahError(
                f"{url}: shows no posts: there is no public channel {source.channel}, "
                "or its owner turned the preview off"
            )
        return preview

    for page in walk(state, source.limit, read):
        yield replace(page, cursor={"channel": source.channel, **(page.cursor or {})})


def read_page(data: bytes, channel: str) -> Stretch | None:
    """What a preview page holds; None where it is another page, as Telegram answers for a channel without preview."""
    page = html.document_fromstring(data or b"<p>", parser=html.HTMLParser(encoding="utf-8", huge_tree=True))
    if not page.find_class("tgme_channel_history"):
        return None
    posts: dict[Id, Document | None] = {}
    for post in page.find_class("tgme_widget_message"):
        id = post.get("data-post", "")  # NAME/NUMBER
        if not (number := re.search(r"/(\d+)$", id)):
            continue
        posts[int(number[1])] = None
        text = _first(post.find_class("js-message_text"))  # not of what it answers to, nor of a page it links to
        if text and "service_message" not in post.classes:
            views = _number(post.find_class("tgme_widget_message_views"))
            posts[int(number[1])] = Document(
                id=id,
                text=text,
                author=_first(post.find_class("tgme_widget_message_from_author")) or channel,
                created_at=next(iter(post.xpath(".//a[contains(@class, 'message_date')]//time/@datetime")), None),
                numbers={} if views is None else {"views": views},
                repost=bool(post.find_class("tgme_widget_message_forwarded_from")),
            )
    links = page.xpath("//link[@rel='prev']/@href") + page.xpath("//a[contains(@class, 'tme_messages_more')]/@href")
    older = [int(found[1]) for link in links if (found := re.search(r"[?&]before=(\d+)", link))]
    return Stretch(posts, min(older, default=None))


def _first(found: list[html.HtmlElement]) -> str:
    return element_text(found[0]) if found else ""


def _number(found: list[html.HtmlElement]) -> int | None:
    """33.4K → 33400."""
    read = re.fullmatch(r"(\d+(?:\.\d+)?)([KM]?)", _first(found))
    return round(float(read[1]) * TIMES.get(read[2], 1)) if read else None
