"""A post as a record of Bluesky: its key, its links as facets, its length (lexicon app.bsky.feed.post)."""

import random
from datetime import UTC, datetime
from typing import Any

from mynah.lengths import BLUESKY_BYTES, BLUESKY_GRAPHEMES, graphemes
from mynah.rules import Rejection
from mynah.tweet import url_spans

COLLECTION = "app.bsky.feed.post"
ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"  # base32-sortable
_CLOCKS = 1 << 10


def new_key(now: datetime) -> str:
    """A TID, the key that a post must have: microseconds, then ten bits by chance (atproto.com/specs/tid)."""
    return _tid(now, random.randrange(_CLOCKS))  # noqa: S311 — no secret


def first_key(since: datetime) -> str:
    """The smallest key of a post that was made then."""
    return _tid(since, 0)


def _tid(time: datetime, clock: int) -> str:
    number = int(time.timestamp() * 1_000_000) * _CLOCKS + clock
    return "".join(ALPHABET[number >> shift & 31] for shift in range(60, -1, -5))


def new_record(text: str, now: datetime, language: str | None) -> dict[str, Any]:
    """The record of a post: all that is sent, with its time."""
    record: dict[str, Any] = {"$type": COLLECTION, "text": text, "createdAt": _time(now)}
    if links := facets(text):
        record["facets"] = links
    return record | ({"langs": [language]} if language else {})


def facets(text: str) -> list[dict[str, Any]]:
    """The links of a text, by the bytes of its UTF-8 where they stand. Nothing else becomes one: nobody is told."""
    found = []
    for start, end in url_spans(text):
        link, first = text[start:end], len(text[:start].encode())
        address = link if link.lower().startswith(("http://", "https://")) else f"https://{link}"
        found.append(
            {
                "index": {"byteStart": first, "byteEnd": first + len(link.encode())},
                "features": [{"$type": "app.bsky.richtext.facet#link", "uri": address}],
            }
        )
    return found


def too_long(text: str) -> Rejection | None:
    """Why Bluesky takes no text of this length."""
    if (length := graphemes(text)) > BLUESKY_GRAPHEMES:
        return Rejection("long", f"it has {length} of at most {BLUESKY_GRAPHEMES} characters of Bluesky")
    if (size := len(text.encode())) > BLUESKY_BYTES:
        return Rejection("long", f"it has {size} of at most {BLUESKY_BYTES} bytes of Bluesky")
    return None


def _time(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
