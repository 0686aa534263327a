"""Links on index pages, in feeds and in sitemaps, and which of them a source takes."""

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot.sources.article import ArticleSource
from mynah.errors import MynahError
from scrapers.links import canonical, feed_links, page_links, sitemap_links, taken

BASE = "https://www.stars.example/news/"


def source(**keys: Any) -> ArticleSource:
    return ArticleSource.model_validate({"kind": "article", "pages": [BASE], **keys})


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("HTTPS://Stars.Example:443/a b?x=1&utm_source=mail&y=2#top", "https://stars.example/a%20b?x=1&y=2"),
        ("http://stars.example", "http://stars.example/"),
        ("http://stars.example:8080/?fbclid=1", "http://stars.example:8080/"),
        ("https://звёзды.example/овен", "https://xn--b1aehb5h7a.example/%D0%BE%D0%B2%D0%B5%D0%BD"),
        ("mailto:stella@stars.example", ""),
        ("javascript:void(0)", ""),
        ("http://[::1", ""),
        ("http://stars.example:port/", ""),
        ("", ""),
    ],
)
def test_an_address_in_canonical_form(url: str, wanted: str) -> None:
    assert canonical(url) == wanted


@given(st.text() | st.from_regex(r"https?://[^/]*/.*"))
def test_the_canonical_form_is_its_own(url: str) -> None:
    once = canonical(url)
    assert canonical(once) == once


def test_links_of_a_page() -> None:
    page = """<base href="/2026/"><a href="aries#a">A</a><a href=aries>again</a><a href="http://[">broken</a>
    <a>none</a><map><area href="/taurus"></map><a href="mailto:x@y.example">mail</a><a href="//other.example/x">o</a>"""
    wanted = ["https://www.stars.example/2026/aries", "https://www.stars.example/taurus", "https://other.example/x"]
    assert page_links(page, BASE).links == wanted
    assert page_links("", BASE).links == []


def test_links_of_a_feed() -> None:
    entries = b"<entry><link href='/a'/></entry><entry><id>urn:1</id></entry>"
    feed = b"<feed xmlns='http://www.w3.org/2005/Atom'>" + entries + b"</feed>"
    assert feed_links(feed, BASE).links == ["https://www.stars.example/a"]


def sitemap(*rows: tuple[str, str], root: str = "urlset", name: str = "url") -> bytes:
    inside = "".join(
        f"<{name}><loc>\n {loc}</loc>{f'<lastmod>{date}</lastmod>' if date else ''}</{name}>" for loc, date in rows
    )
    return (
        f"<?xml version='1.0'?><{root} xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{inside}</{root}>".encode()
    )


def test_the_newest_of_a_sitemap_comes_first() -> None:
    data = sitemap(("/old", "2020-01-01"), ("/none", ""), ("/new", "2026-02-03T10:00:00Z"))
    wanted = [f"https://www.stars.example/{name}" for name in ("new", "old", "none")]
    assert sitemap_links(data, BASE).links == wanted
    assert sitemap_links(gzip.compress(data), BASE).links == wanted
    assert (
        sitemap_links(data.replace(b" xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'", b""), BASE).links == wanted
    )


def test_an_index_of_sitemaps_and_the_plain_form() -> None:
    found = sitemap_links(sitemap(("/1.xml", ""), ("/2.xml", "2026"), root="sitemapindex", name="sitemap"), BASE)
    assert found.sitemaps == ["https://www.stars.example/2.xml", "https://www.stars.example/1.xml"]
    assert found.links == []
    assert sitemap_links(b"https://a.example/1\r\nhttps://a.example/2\n\nx", BASE).links == [
        "https://a.example/1",
        "https://a.example/2",
    ]


@pytest.mark.parametrize("data", [b"<html><body>none</body></html>", b"<", b"\x1f\x8bno gzip"])
def test_what_is_no_sitemap_is_one_line(data: bytes) -> None:
    with pytest.raises(MynahError, match=rf"^{BASE}: is not? ") as caught:
        sitemap_links(data, BASE)
    assert "\n" not in str(caught.value)


def test_a_sitemap_reads_nothing_else_and_does_not_swell(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password")
    tenfold = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(9))
    entities = f"<!DOCTYPE x [<!ENTITY e SYSTEM '{secret.as_uri()}'><!ENTITY a0 'ha'>{tenfold}]>"
    data = sitemap(("/&e;", ""), ("/&a9;", ""), ("/fine", "")).replace(b"<urlset", entities.encode() + b"<urlset", 1)
    assert all(len(link) < 100 and "password" not in link for link in sitemap_links(data, BASE).links)


def test_which_links_are_taken() -> None:
    here = [f"https://stars.example/{path}" for path in ("aries/1", "aries/2", "shop/3", "taurus/4")]
    links = [BASE, *here, "https://other.example/aries/5"]
    assert taken(links, BASE, source()) == here
    assert taken(links, BASE, source(include=["/aries/", r"/\d$"], exclude=["/shop/"])) == [here[0], here[1], here[3]]
    assert taken(links, BASE, source(include=["/aries/"], hosts=["WWW.other.example"])) == [*here[:2], links[-1]]
