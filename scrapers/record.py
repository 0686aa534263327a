"""Records of posts on Bluesky. Pure functions; a record is whatever the account's server gave."""

from datetime import UTC, date, datetime
from typing import Any

from mynah.bot.sources.bluesky import BlueskySource
from mynah.document import Document

POSTS = "app.bsky.feed.post"
DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # of a key, in the order of their values


def read_record(record: Any, source: BlueskySource, account: str, did: str) -> Document | None:
    """The document in a post's record; None where it has no text, is not wanted, or is not what a post looks like."""
    try:
        uri, post = str(record["uri"]), record["value"]
        text = with_links(post["text"], post.get("facets") or ())
        parent = str(post["reply"]["parent"]["uri"]) if post.get("reply") else f"at://{did}/"
        shown = (post.get("embed") or {}).get("record") or {}
        quotes = f"/{POSTS}/" in str((shown.get("record") or shown).get("uri"))  # beside pictures, it lies one deeper
        created = post.get("createdAt")
    except (KeyError, TypeError, AttributeError):
        return None
    answers = not parent.startswith(f"at://{did}/")
    if not text.strip() or (answers and not source.replies) or (quotes and not source.quotes):
        return None
    return Document(id=uri, text=text, author=account, created_at=str(created) if created else None)


def with_links(text: str, facets: Any) -> str:
    """A post's text, which shows a long address only in part, with its addresses whole: so cleaning knows them.

    Other words that lead somewhere stay. `facets` mark stretches of the text's UTF-8, by bytes.
    """
    data = text.encode(errors="replace")
    try:
        for facet in sorted(facets, key=lambda facet: -int(facet["index"]["byteStart"])):  # the last first
            start, end = int(facet["index"]["byteStart"]), int(facet["index"]["byteEnd"])
            address = next((str(feature["uri"]) for feature in facet["features"] if "uri" in feature), "")
            shown = data[start:end].decode(errors="replace").removesuffix("...").removesuffix("…")
            if shown and shown in address:
                data = data[:start] + address.encode(errors="replace") + data[end:]
    except (KeyError, TypeError, ValueError):
        return text
    return data.decode(errors="replace")


def first_key(day: date) -> str:
    """The least key of a record of this day: 13 digits, for microseconds and 10 bits that tell clocks apart."""
    microseconds = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    return "".join(DIGITS[(microseconds << 10) >> (5 * place) & 31] for place in range(12, -1, -1))
