"""Records of posts on Bluesky."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot.sources.bluesky import BlueskySource
from scrapers.record import first_key, read_record, with_links


def link(start: int, end: int, uri: str = "https://birds.example/mynah?a=1") -> dict[str, Any]:
    return {
        "index": {"byteStart": start, "byteEnd": end},
        "features": [{"$type": "app.bsky.richtext.facet#link", "uri": uri}],
    }


@pytest.mark.parametrize(
    ("text", "facets", "wanted"),
    [
        ("É birds.example/my... !", [link(3, 22)], "É https://birds.example/mynah?a=1 !"),
        ("birds.example/m… birds.example", [link(0, 18), link(19, 32)], "https://birds.example/mynah?a=1 " * 2),
        ("read this", [link(0, 9)], "read this"),  # words that lead somewhere
        (
            "@ana.example",
            [{"index": {"byteStart": 0, "byteEnd": 12}, "features": [{"did": "did:plc:a"}]}],
            "@ana.example",
        ),
        ("short", [link(90, 99)], "short"),
        ("short", [{"index": None}], "short"),
        ("short", 7, "short"),
    ],
)
def test_addresses_are_shown_whole(text: str, facets: Any, wanted: str) -> None:
    assert with_links(text, facets) == wanted.strip()


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "uri",
                    "value",
                    "text",
                    "facets",
                    "reply",
                    "parent",
                    "embed",
                    "record",
                    "index",
                    "features",
                    "byteStart",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(json_data, st.text(), json_data)
def test_no_record_is_too_strange(record: Any, text: str, facets: Any) -> None:
    source = BlueskySource(kind="bluesky", accounts=["ana.example"])
    for strange in (record, {"uri": "at://a/b/c", "value": {"text": text, "facets": facets, "embed": record}}):
        read_record(strange, source, "ana.example", "did:plc:a")


def test_the_first_key_of_a_day() -> None:
    assert first_key(date(2026, 3, 1)) < first_key(date(2026, 3, 2))
    # Bluesky's first post about itself, of 2023-04-12, and the day after (https://atproto.com/specs/tid)
    assert first_key(date(2023, 4, 12)) < "3jt6walwmos2y" < first_key(date(2023, 4, 13))
