"""A post as a record of Bluesky: keys, facets, lengths."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.accounts.bluesky.record import ALPHABET, facets, first_key, new_key, new_record, too_long

NOON = datetime(2026, 11, 27, 12, 0, 0, 123456, tzinfo=UTC)


def number(key: str) -> int:
    value = 0
    for character in key:
        value = value * 32 + ALPHABET.index(character)
    return value


def test_a_key_is_a_tid() -> None:
    """By the specification: 13 characters, the top bit zero, microseconds before ten bits; sorted as time goes by."""
    key = new_key(NOON)
    assert re.fullmatch("[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", key)
    assert number(key) >> 10 == int(NOON.timestamp() * 1_000_000)
    assert number("3jzfcijpj2z2a") >> 10 == 1_688_137_381_887_007  # the specification's example, of June 2023
    assert number(first_key(NOON)) == number(new_key(NOON)) & ~1023
    keys = [new_key(NOON + timedelta(seconds=second)) for second in range(50)]
    assert keys == sorted(set(keys))


def test_a_record() -> None:
    moscow = NOON.astimezone(timezone(timedelta(hours=3)))
    assert new_record("hello", moscow, None) == {
        "$type": "app.bsky.feed.post",
        "text": "hello",
        "createdAt": "2026-11-27T12:00:00.123Z",
    }
    assert new_record("see example.com", NOON, "en") == {
        "$type": "app.bsky.feed.post",
        "text": "see example.com",
        "createdAt": "2026-11-27T12:00:00.123Z",
        "facets": [
            {
                "index": {"byteStart": 4, "byteEnd": 15},
                "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com"}],
            }
        ],
        "langs": ["en"],
    }


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("no link, @anna.bsky.social #tag", []),
        (
            "👍🏽 https://example.com/a?b=c, then 漢字 http://example.org.",
            ["https://example.com/a?b=c", "http://example.org"],
        ),
        ("HTTPS://EXAMPLE.COM/A", ["HTTPS://EXAMPLE.COM/A"]),
        ("日本語foo.jp日本語", ["https://foo.jp"]),
    ],
)
def test_links_are_facets(text: str, links: list[str]) -> None:
    found = facets(text)
    assert [facet["features"][0]["uri"] for facet in found] == links
    for facet, link in zip(found, links, strict=True):
        shown = text.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        assert link in (shown, f"https://{shown}")


@given(
    st.lists(st.sampled_from(["https://example.com/é", "example.org", "漢", "👨‍👩‍👧‍👦", " ", "\n", "a.b", "@x.test"]))
)
def test_facets_lie_between_characters(parts: list[str]) -> None:
    text = "".join(parts)
    position = 0
    for facet in facets(text):
        start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        assert position <= start < end <= len(text.encode())
        assert "." in text.encode()[start:end].decode()  # raises in the middle of a character
        position = end


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a" * 300, None),
        ("a" * 301, "it has 301 of at most 300 characters of Bluesky"),
        ("漢" * 300, None),
        ("👍🏽" * 300, None),
        ("👨‍👩‍👧‍👦" * 120, None),
        ("👨‍👩‍👧‍👦" * 121, "it has 3025 of at most 3000 bytes of Bluesky"),
        ("e\u0301" * 300, None),
        ("x" * 270 + " https://example.com/" + "y" * 20, "it has 311 of at most 300 characters of Bluesky"),
    ],
)
def test_lengths(text: str, says: str | None) -> None:
    rejection = too_long(text)
    assert (rejection.words if rejection else None) == says
