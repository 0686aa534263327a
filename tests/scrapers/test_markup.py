"""HTML becomes the text that its reader sees."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapers.markup import NOT_XML, SPACE, plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (" \n ", ""),
        ("<br>", ""),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("a<br><br>b", "a\n\nb"),
        ("a<br><br><br><br>b", "a\n\nb"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div>three", "one\ntwo\nthree"),
        ("<div><div><p>one</p></div></div><p>two", "one\n\ntwo"),
        ("<p>one<br></p><p>two</p>", "one\n\ntwo"),
        ("<b>Bold</b> and\n   <i>italic</i>.", "Bold and italic."),
        ("<b>a </b> b", "a b"),
        ("a <br> b", "a\nb"),
        ("<ul><li>one<li>two</ul>end", "one\ntwo\n\nend"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<table><tr><td>a<td>b</tr><tr><td>c</table>", "a b\nc"),
        ("one<script>alert('two')</script> three<style>p {}</style>", "one three"),
        ("one<!-- two -->three", "onethree"),
        ("&lt;b&gt; &amp;amp; &quot;", '<b> &amp; "'),
        ("a&nbsp;b", "a\xa0b"),
        ("&#128512;", "😀"),
        ("<b>never closed", "never closed"),
        ("a < b, b > c", "a < b, b > c"),
        ("&nosuch; &", "&nosuch; &"),
        ("nul\0l \ud83d", "null"),
        ("<html><head><title>no</title></head><body>yes</body></html>", "yes"),
        ("<p>тред</p>", "тред"),
    ],
)
def test_what_a_reader_sees(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@given(st.text())
def test_any_text_is_taken(markup: str) -> None:
    plain_text(markup)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_was_escaped_comes_back_with_its_white_space_folded(text: str) -> None:
    want = SPACE.sub(" ", NOT_XML.sub("", text)).strip(" ")
    assert plain_text(html.escape(text)) == (want if want.strip() else "")  # of white space alone, nothing


@given(
    st.lists(
        st.sampled_from(["<b>", "</b>", "<p>", "</p>", "<br>", "<div>", "</div>", "<td>", "<pre>", "a", " ", "\n"])
    )
)
def test_no_more_than_one_empty_line_and_no_space_at_a_line_s_end(pieces: list[str]) -> None:
    text = plain_text("".join(pieces))
    assert not re.search(r"\n\n\n| \n|\n |  ", text)
    assert text == text.strip()


def test_very_deep_markup() -> None:
    assert plain_text("<b>" * 2000 + "deep") == "deep"


def test_a_long_page() -> None:
    assert plain_text("<p>word</p>" * 20_000) == "\n\n".join(["word"] * 20_000)
