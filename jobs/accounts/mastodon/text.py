"""What a status says: from its HTML back to the text that was posted."""

import html
import re
import unicodedata

from mynah.lengths import local_names, web_links

_LINK = re.compile(r'<a\b(?![^>]*\bmention\b)[^>]*\bhref="([^"]*)"[^>]*>.*?</a>', re.DOTALL)


def same_text(text: str, content: str) -> bool | None:
    """Whether the HTML of a status is that of `text`; None where only the links differ.

    Mastodon shows a link in parts, which together are the link as it was written; other servers may shorten it. It
    drops the host of an account's name, and white space at the ends.
    """
    ours = _folded(local_names(text))
    if ours in (_folded(plain(content)), _folded(plain(_LINK.sub(r"\1", content)))):
        return True
    if not _LINK.search(content):
        return False
    return None if _folded(plain(_LINK.sub("", content))) == _folded(local_names(_without_links(text))) else False


def plain(content: str) -> str:
    """The text of a status's HTML."""
    broken = re.sub(r"<br\s*/?>|</p>", "\n", content)
    return html.unescape(re.sub(r"<[^>]*>", "", broken))


def _without_links(text: str) -> str:
    rest, position = "", 0
    for start, end in web_links(text):
        rest, position = rest + text[position:start], end
    return rest + text[position:]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
