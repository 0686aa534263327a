"""The texts of a page, and who wrote them when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot.sources.article import ArticleSource
from scrapers import extract
from scrapers.byline import byline
from scrapers.extract import Article, read_article
from scrapers.markup import parsed_page

PAGE = """<html><body><div class="ad">Buy!</div>
<div class="body"><h2>Aries</h2><p>Rest today.</p><p>Shop here: now</p></div>
<aside><div class="body"><p>An aside.</p><div class="body">inside</div></div></aside></body></html>"""
SENTENCE = "The stars are kind to those who wait, and kinder still to those who never do so, on the whole. "


def source(**keys: Any) -> ArticleSource:
    return ArticleSource.model_validate({"kind": "article", "pages": ["https://stars.example/"], **keys})


def texts(page: str, **keys: Any) -> list[str]:
    return read_article(page, source(**keys)).texts


def test_the_elements_that_hold_the_body() -> None:
    assert texts(PAGE, body=[".body"]) == ["Aries\n\nRest today.\n\nShop here: now\n\nAn aside.\n\ninside"]
    assert texts(PAGE, body=["aside", "h2"]) == ["Aries\n\nAn aside.\n\ninside"]  # in the page's order
    assert texts(PAGE, body=[".none"]) == []


def test_lines_of_this_site_alone_are_dropped() -> None:
    assert texts(PAGE, body=[".body:not(aside *)"], drop_lines=["Shop here"]) == ["Aries\n\nRest today."]


def test_pieces_are_texts_of_their_own() -> None:
    assert texts(PAGE, pieces=["p"]) == ["Rest today.", "Shop here: now", "An aside."]
    assert texts(PAGE, pieces=["p"], body=["aside"]) == ["An aside."]


def test_a_text_is_split() -> None:
    page = "<article><p>one</p><p>* * *</p><p>two</p><p>* * *</p></article>"
    assert texts(page, body=["article"], split=r"(\* ){2}\*") == ["one", "two"]


def test_an_article_that_goes_on_after_an_advertisement_is_whole() -> None:
    part = '<div class="grid"><div class="chunk"><p>{0} one. {1}</p><p>{0} two. {1}</p></div></div>'
    parts = '<div class="ad">Buy now</div>'.join(part.format(name, SENTENCE * 5) for name in ("First", "Second"))
    (text,) = texts(f"<html><body><div class=chunks>{parts}</div></body></html>")
    assert all(f"{name} {number}." in text for name in ("First", "Second") for number in ("one", "two"))


def test_a_page_of_very_many_elements_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_ELEMENTS", 20)
    (text,) = texts("<article>" + "".join(f"<p>{n}: {SENTENCE}</p>" for n in range(100)) + "</article>")
    assert text.startswith("0: ")
    assert "50: " not in text


LINKED = """<script type="application/ld+json">{"@graph": [{"@type": "WebPage", "author": "the site"},
{"@type": "NewsArticle", "datePublished": "2026-03-02T10:00:00Z", "author": [{"name": "Stella"}, "Luna"]}]}</script>"""


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (LINKED, ("Stella, Luna", "2026-03-02T10:00:00Z")),
        ('<script type="application/ld+json">{"datePublished": </script>', (None, None)),
        (f'<script type="application/ld+json">{"[" * 100_000}</script>', (None, None)),
        ('<script type="application/ld+json">[1, {"datePublished": 5, "author": {"name": {}}}]</script>', (None, None)),
        (
            "<meta name=author content=' Stella  M. '><meta property='article:published_time' content='2026-03-02'>",
            ("Stella M.", "2026-03-02"),
        ),
        ("<meta property='article:author' content='https://social.example/stella'>", (None, None)),
        ("<body><a rel=author>Luna</a><article><time datetime='2026-03-03'>", ("Luna", "2026-03-03")),
    ],
)
def test_who_wrote_it_and_when(head: str, wanted: tuple[str | None, str | None]) -> None:
    assert byline(parsed_page(f"<html><head>{head}")) == wanted


@pytest.mark.parametrize("page", ["", "\0", "</<", "<html></html>", "<p>" * 5000, "\ud83d", "<!DOCTYPE html>"])
def test_what_is_no_article_is_none(page: str) -> None:
    assert read_article(page, source()) == Article([])
    assert read_article(page, source(body=["article"])) == Article([])


@given(st.text(alphabet=st.sampled_from('<>/ap div\n"=é')) | st.text())
def test_anything_is_read(page: str) -> None:
    for keys in ({}, {"body": ["*"]}, {"pieces": ["p"]}):
        assert all(text.strip() for text in texts(page, **keys))
