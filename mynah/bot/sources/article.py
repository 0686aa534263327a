"""The source `article`."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source


def _address(value: str) -> str:
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
        raise ValueError(f"{value!r} is no address: it begins with http:// or https://")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


def _selector(value: str) -> str:
    from cssselect import HTMLTranslator, SelectorError

    try:
        HTMLTranslator().css_to_xpath(value)
    except SelectorError as error:
        raise ValueError(f"{value!r} is no CSS selector: {error}") from None
    return value


Address = Annotated[str, AfterValidator(_address)]
Pattern = Annotated[str, Unit("regular expression"), AfterValidator(_pattern)]
Selector = Annotated[str, Unit("CSS selector"), AfterValidator(_selector)]


class ArticleSource(Source):
    """Articles of a website. Links are found on index pages, in feeds and in sitemaps; each page behind a link gives a
    document, or several. A page that was kept is not asked for again; one that failed is, next time. The site's
    robots.txt is obeyed, in the name of `mynah`."""

    kind: Literal["article"]
    """What sort of source this is."""
    pages: Annotated[list[Address], Unit("list of addresses")] = Field(default=[])
    """Index pages: every link on them is looked at. Index pages, feeds and sitemaps are read at each scrape, where they
    have changed."""
    feeds: Annotated[list[Address], Unit("list of addresses")] = Field(default=[])
    """RSS or Atom feeds, whose entries link to articles."""
    sitemaps: Annotated[list[Address], Unit("list of addresses")] = Field(default=[])
    """Sitemaps, or indexes of sitemaps, gzipped or not. The newest pages come first, where a sitemap dates them."""
    include: Annotated[list[Pattern], Unit("list of regular expressions")] = Field(default=[])
    """Take only links in whose address one of these is found. Without any, take all."""
    exclude: Annotated[list[Pattern], Unit("list of regular expressions")] = Field(default=[])
    """Leave out links in whose address one of these is found."""
    hosts: Annotated[list[str], Unit("list of hosts")] = Field(default=[])
    """Take links to these hosts too. Otherwise, only those to the host that gave the link are taken, with `www.` or
    without."""
    limit: Annotated[int, Unit("pages")] = Field(default=100, ge=1)
    """How many links are taken at most, in turn from the beginning of each list. The others do not count until they
    move up."""
    pause: Annotated[float, Unit("seconds")] = Field(default=1.0, ge=0, le=60)
    """How long to wait between two requests to one host. Where its robots.txt asks for a longer time, that holds, up to
    30 seconds."""
    refresh: bool = False
    """Ask for every page again at each scrape, and keep a text that is new there as a new document: for pages whose
    address stays while their text changes, such as a daily horoscope."""
    body: Annotated[list[Selector], Unit("list of CSS selectors")] = Field(default=[])
    """The elements that hold the text of an article. Without any, the text is found by trafilatura, which knows
    articles, but no site in particular."""
    pieces: Annotated[list[Selector], Unit("list of CSS selectors")] = Field(default=[])
    """Elements that are a text of their own each, inside those of `body` where that is given: for pages that hold
    several texts."""
    split: Pattern | None = None
    """What stands between two texts of a page, and belongs to neither. `(?m)^(?=Aries|Taurus)` begins a text with each
    line that begins with a sign."""
    drop_lines: list[str] = Field(default=[])
    """Remove the lines that contain any of these texts, from the pages of this source alone; capitals matter."""

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if not (self.pages or self.feeds or self.sitemaps):
            raise PydanticCustomError(
                "no_lists", "missing, and so are feeds and sitemaps: say where the links are", {"at": ("pages",)}
            )
        return self
