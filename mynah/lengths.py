"""How long a text is where a bot posts: Mastodon's count and Bluesky's. X's is in mynah/tweet.py."""

import regex

from mynah.tweet import url_spans

MASTODON_MAX, MASTODON_LINK = 500, 23  # what a server of Mastodon allows unless it says otherwise
BLUESKY_GRAPHEMES, BLUESKY_BYTES = 300, 3000  # app.bsky.feed.post: maxGraphemes and maxLength of its text

_REMOTE = regex.compile(r"(?<![\w/])@(\w+(?:[\w.-]*\w)?)@[\w.-]*\w")


def mastodon_length(text: str, link: int = MASTODON_LINK) -> int:
    """Characters as people see them; a link with http:// or https:// is `link` of them, @name@host is @name.

    So Mastodon counts (its StatusLengthValidator).
    """
    total = position = 0
    for start, end in web_links(text):
        total += graphemes(local_names(text[position:start])) + link
        position = end
    return total + graphemes(local_names(text[position:]))


def local_names(text: str) -> str:
    """The text with @name for @name@host, as Mastodon shows and counts it."""
    return str(_REMOTE.sub(r"@\1", text))


def graphemes(text: str) -> int:
    """How many characters people see: an emoji of several code points is one (Unicode's UAX #29)."""
    return len(text) if text.isascii() and "\r" not in text else len(regex.findall(r"\X", text))


def web_links(text: str) -> list[tuple[int, int]]:
    """Start and end of each link that is written with http:// or https://, as Mastodon sees them."""
    if "://" not in text:
        return []
    return [
        (start, end) for start, end in url_spans(text) if text[start:end].lower().startswith(("http://", "https://"))
    ]
