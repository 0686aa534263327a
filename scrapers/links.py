"""Links to articles: what index pages, feeds and sitemaps hold, and which of them a source takes."""

import io
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

import feedparser
from lxml import etree
from w3lib.url import safe_url_string

from mynah.bot.sources.article import ArticleSource
from mynah.errors import MynahError
from scrapers.fetch import MAX_BYTES
from scrapers.markup import parsed_page

# Says how somebody came to a page, and not which page it is.
TRACKING = re.compile(r"(utm_\w+|fbclid|gclid|msclkid|mc_[ce]id)(=|$)")


@dataclass(frozen=True)
class Found:
    """What a list holds, in its order, each once."""

    links: list[str]
    sitemaps: list[str]
    """More lists, where it is an index of sitemaps."""


def page_links(markup: str, url: str) -> Found:
    """The links of an index page that lies at `url`."""
    page = parsed_page(markup)
    base = _joined(url, next(iter(page.xpath("//base/@href")), ""))
    return Found(_each_once(_joined(base, link.get("href")) for link in page.iter("a", "area") if link.get("href")), [])


def feed_links(data: bytes, url: str) -> Found:
    """The links of a feed's entries. Raises MynahError where `data` is no feed."""
    feed = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
    if not feed.get("version") and not feed.entries:
        raise MynahError(f"{url}: is no RSS or Atom feed")
    return Found(_each_once(_joined(url, str(entry.get("link", ""))) for entry in feed.entries), [])


def sitemap_links(data: bytes, url: str) -> Found:
    """The links of a sitemap (sitemaps.org), or the sitemaps of an index; the newest first, where they are dated.

    Raises MynahError where `data` is neither.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, MAX_BYTES)
        except zlib.error as error:
            raise MynahError(f"{url}: is not the gzip that it says it is: {error}") from None
    if not data.lstrip(b"\xef\xbb\xbf\t\r\n ").startswith(b"<"):  # the plain form: an address per line
        return Found(_each_once(data.decode("utf-8-sig", "replace").splitlines()), [])
    dated: dict[str, list[tuple[str, str]]] = {"url": [], "sitemap": []}
    root = ""
    try:
        walk = etree.iterparse(
            io.BytesIO(data), tag=("{*}url", "{*}sitemap"), recover=True, resolve_entities=False, no_network=True
        )
        for _, node in walk:
            said = {etree.QName(child).localname: (child.text or "").strip() for child in node.iterchildren("{*}*")}
            if said.get("loc"):
                dated[etree.QName(node).localname].append((said.get("lastmod", ""), said["loc"]))
            node.clear()
        root = etree.QName(walk.root).localname if walk.root is not None else ""
    except etree.XMLSyntaxError as error:
        raise MynahError(f"{url}: is no sitemap: {error.msg}") from None
    if root not in ("urlset", "sitemapindex"):
        raise MynahError(f"{url}: is no sitemap: its root is {root or 'nothing'}, and not urlset or sitemapindex")
    for entries in dated.values():
        entries.sort(key=lambda entry: entry[0], reverse=True)
    links, sitemaps = ([_joined(url, address) for _, address in dated[name]] for name in ("url", "sitemap"))
    return Found(_each_once(links), _each_once(sitemaps))


def taken(links: Iterable[str], url: str, source: ArticleSource) -> list[str]:
    """Those that `source` takes of the links that the list at `url` holds."""
    lists = {canonical(address) for address in (url, *source.pages, *source.feeds, *source.sitemaps)}
    return [
        link
        for link in links
        if link not in lists
        and is_at(link, url, source)
        and (not source.include or any(re.search(pattern, link) for pattern in source.include))
        and not any(re.search(pattern, link) for pattern in source.exclude)
    ]


def is_at(link: str, url: str, source: ArticleSource) -> bool:
    """Whether a link leads to the host of `url`, or to one that `source` names."""
    return _host(link) in {_host(url), *(host.lower().removeprefix("www.") for host in source.hosts)}


def canonical(url: str) -> str:
    """The address in the one form that it has as a document's id; "" where it is none over http(s).

    Without fragment and tracking parameters, its host in lower case, what is special in it escaped.
    """
    try:
        parts = urlsplit(safe_url_string(url.strip()))
        port = parts.port if parts.port != {"http": 80, "https": 443}.get(parts.scheme) else None
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    query = "&".join(pair for pair in parts.query.split("&") if not TRACKING.match(pair))
    return urlunsplit((parts.scheme, f"{host}:{port}" if port else host, parts.path or "/", query, ""))


def _each_once(urls: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(address for url in urls if (address := canonical(url))))


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")
