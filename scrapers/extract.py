"""The texts of an article's page."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from lxml import html
from lxml.cssselect import CSSSelector

from mynah.bot.sources.article import ArticleSource
from mynah.text import drop_lines
from scrapers.byline import byline
from scrapers.markup import element_text, parsed_page

# trafilatura's time grows with the square of what is on a page: 26,000 elements take it 7 s.
MAX_ELEMENTS = 20_000
PARAGRAPH = 80  # characters; a shorter one may be a button


@dataclass(frozen=True)
class Article:
    """What a page holds."""

    texts: list[str]
    author: str | None = None
    created_at: str | None = None


def read_article(markup: str, source: ArticleSource) -> Article:
    """The texts of a page by the rules of `source`, in their order; none of them is empty."""
    page = parsed_page(markup)
    author, created_at = byline(page)
    if source.pieces:
        roots = _selected([page], source.body) if source.body else [page]
        texts = [element_text(piece) for piece in _selected(roots, source.pieces)]
    elif source.body:
        texts = ["\n\n".join(text for part in _selected([page], source.body) if (text := element_text(part)))]
    else:
        texts = [main_text(page)]
    parts = (part for text in texts for part in (_split(text, source.split) if source.split else [text]))
    cleaned = (drop_lines(part, source.drop_lines).strip() for part in parts)
    return Article([text for text in cleaned if text], author, created_at)


def main_text(page: html.HtmlElement) -> str:
    """The article of a page of an unknown site, a line per paragraph; "" where there is none.

    The page is changed. Comments are left out, and what may be no part of the article rather than not: what is not the
    voice of a text, a model would learn all the same. `make bench PART=listening` measures it.
    """
    import trafilatura  # some 0.8 s: only where it is needed

    logging.getLogger("trafilatura").addHandler(logging.NullHandler())  # a page without an article is ours to tell
    _join_parts(page)
    for element in [*page.iter()][MAX_ELEMENTS:]:
        if element.getparent() is not None:
            element.getparent().remove(element)
    try:
        return trafilatura.extract(page, include_comments=False, favor_precision=True) or ""
    except Exception:  # rules of thumb on what strangers wrote: whatever goes wrong, this page alone gives nothing
        return ""


def _join_parts(page: html.HtmlElement) -> None:
    """Put the later parts of an article into its first.

    trafilatura takes one element, and some sites end theirs before an advertisement and go on in another. Parts have
    the same tag, class and place, and paragraphs.
    """
    parts: dict[tuple[str, str, html.HtmlElement], html.HtmlElement] = {}
    for element in [*page.iter("div", "section")]:
        *_, place = [None, *islice(element.iterancestors(), 2)]
        paragraphs = sum(len(child.text_content()) > PARAGRAPH for child in element.iterchildren("p"))
        if element.get("class") and place is not None and paragraphs > 1:
            first = parts.setdefault((element.tag, element.get("class"), place), element)
            if first is not element:
                first.append(element)


def _selected(roots: Iterable[html.HtmlElement], selectors: list[str]) -> list[html.HtmlElement]:
    """The elements that any of the selectors names, in the page's order, without those inside another."""
    select = CSSSelector(", ".join(selectors), translator="html")
    found = {element: None for root in roots for element in select(root)}
    return [element for element in found if not any(ancestor in found for ancestor in element.iterancestors())]


def _split(text: str, pattern: str) -> Iterator[str]:
    """What stands between the places where `pattern` is found."""
    start = 0
    for match in re.finditer(pattern, text):
        yield text[start : match.start()]
        start = match.end()
    yield text[start:]
