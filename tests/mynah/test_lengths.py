"""How long a text is on Mastodon and Bluesky: emoji, CJK, links, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.lengths import graphemes, local_names, mastodon_length, web_links

URL = "https://example.com/a-path-that-is-longer-than-23?b=c"


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("", 0),
        ("plain", 5),
        ("two\r\nlines", 9),
        ("漢字かな", 4),
        ("한국어", 3),
        ("e\u0301", 1),
        ("👍🏽", 1),
        ("👨‍👩‍👧‍👦", 1),
        ("🇩🇪🇫🇷", 2),
        ("1️⃣", 1),
        ("नमस्ते", 3),
    ],
)
def test_characters_as_people_see_them(text: str, characters: int) -> None:
    """By Unicode's UAX #29, whose rule for Indian conjuncts is of Unicode 15.1."""
    assert graphemes(text) == characters
    assert mastodon_length(text) == characters


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (URL, 23),
        (f"see {URL}, and {URL}.", 4 + 23 + 6 + 23 + 1),
        ("HTTP://EXAMPLE.COM", 23),
        ("example.com", 11),  # no link there without http://
        ("ftp://example.com", 17),
        ("@anna@example.social hi", 8),
        ("@anna hi", 8),
        ("me@home.example", 15),
        ("https://example.com/@anna@example.social", 23),
        ("漢字https://example.com/漢", 2 + 23 + 1),
    ],
)
def test_links_and_names_on_mastodon(text: str, length: int) -> None:
    assert mastodon_length(text) == length


def test_a_server_may_count_links_otherwise() -> None:
    assert mastodon_length(f"a {URL}", link=30) == 32


def test_local_names() -> None:
    assert local_names("@anna@example.social, @ben and me@home.example") == "@anna, @ben and me@home.example"


@given(st.text())
def test_any_text_has_a_length(text: str) -> None:
    assert 0 <= graphemes(text) <= len(text)
    assert all(text[start:end].lower().startswith("http") for start, end in web_links(text))
