"""Who wrote a page, and when, by what the page says of itself."""

import json
from collections.abc import Iterator
from typing import Any

from lxml import html

DATES = (
    "//meta[@property='article:published_time']/@content",
    "//meta[@itemprop='datePublished']/@content",
    "//*[@itemprop='datePublished']/@datetime",
    "//meta[@name='parsely-pub-date' or @name='pubdate' or @name='dc.date' or @name='date']/@content",
    "//article//time/@datetime",
)
AUTHORS = (
    "//meta[@name='author' or @name='parsely-author']/@content",
    "//meta[@property='article:author']/@content",
    "//*[@rel='author']/text()",
)


def byline(page: html.HtmlElement) -> tuple[str | None, str | None]:
    """Author and date as the page writes them; None where it does not say."""
    author = date = ""
    for thing in _linked_data(page):
        date = date or _words(thing.get("datePublished"))
        author = author or (_words(_name(thing.get("author"))) if "datePublished" in thing else "")
    return author or _first(page, AUTHORS), date or _first(page, DATES)


def _linked_data(page: html.HtmlElement) -> Iterator[dict[str, Any]]:
    """The things that a page describes for search engines (schema.org in JSON-LD)."""
    for script in page.iterfind(".//script[@type='application/ld+json']"):
        try:
            waiting = [json.loads(script.text or "")]
        except (ValueError, RecursionError):
            continue
        while waiting:
            thing = waiting.pop()
            if isinstance(thing, list):
                waiting += reversed(thing)
            elif isinstance(thing, dict):
                yield thing
                waiting += thing.values()


def _name(author: Any) -> Any:
    """A person is written as a name, as a thing that has one, or as a list of either."""
    if isinstance(author, list):
        return ", ".join(name for one in author if (name := _words(_name(one))))
    return author.get("name") if isinstance(author, dict) else author


def _first(page: html.HtmlElement, paths: tuple[str, ...]) -> str | None:
    return next((words for path in paths for value in page.xpath(path) if (words := _words(value))), None)


def _words(value: Any) -> str:
    """One line of text; "" for an address, which is no name, and for what is no text at all."""
    words = " ".join(value.split()) if isinstance(value, str) else ""
    return "" if words.startswith(("http://", "https://")) else words[:200]
