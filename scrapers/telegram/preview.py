"""A public channel's preview pages on t.me: what anybody may read, without a login."""

import re

from lxml import html

from mynah.document import Document
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.fetch import fetch
from scrapers.markup import element_text
from scrapers.walk import Id, Stretch

TIMES = {"K": 1_000, "M": 1_000_000}


def read(channel: str, before: Id | None, settings: Settings) -> Stretch:
    """The posts before `before`, or the newest. Raises MynahError where the channel shows none."""
    url = f"{settings.telegram_url}/s/{channel}" + (f"?before={before}" if before else "")
    posts = read_page(fetch(url, settings.allow_private).body or b"", channel)
    if posts is None:
        raise MynahError(
            f"{url}: shows no posts: there is no public channel {channel}, or its owner turned the preview off"
        )
    return posts


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
