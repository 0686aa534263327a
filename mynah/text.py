"""What a text is made of, and how a generated one is cleaned. Pure functions."""

import re
import unicodedata
from collections.abc import Collection
from typing import Literal

from mynah.sentences import whole

LINK = re.compile(r"(?:https?://|www\.|pic\.twitter\.com/|t\.co/)\S+", re.IGNORECASE)
# A name is preceded by no word character, so that e-mail addresses stay whole.
MENTION = re.compile(r"(?<![\w@])@\w+")
HASHTAG = re.compile(r"(?<!\w)#\w+")
WORD = re.compile(r"\w+(?:['’\-]\w+)*")
QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "'": "'", "‘": "’"}


def drop_lines(text: str, parts: Collection[str]) -> str:
    """The text without the lines that contain any of `parts`."""
    if not parts:
        return text
    return "\n".join(line for line in text.splitlines() if not any(part in line for part in parts))


def fold_spaces(text: str, keep_newlines: bool = False) -> str:
    """Runs of white space become one space; with `keep_newlines`, lines stay and blank ones go.

    A line ends wherever Unicode ends one, as a reader sees it: at U+2028 too, which then becomes a plain line break.
    """
    if not keep_newlines:
        return " ".join(text.split())
    return "\n".join(folded for line in text.splitlines() if (folded := " ".join(line.split())))


def storable(text: str) -> str:
    """A text without what Postgres does not carry: halves of characters (surrogates) and NUL become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def words(text: str) -> list[str]:
    """The words of a text, lower-cased."""
    if text.isascii():  # elsewhere the small letter of a capital may be two characters, of which one is none of a word
        return WORD.findall(text.lower())
    return [word.lower() for word in WORD.findall(text)]


def count_words(text: str) -> int:
    """How many words a text has."""
    return len(WORD.findall(text))


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, white space and punctuation."""
    return " ".join(words(text)) or fold_spaces(text)


def clean_generated(
    text: str,
    finished: bool,
    keep_newlines: bool = False,
    unfinished: Literal["cut", "drop"] = "cut",
    line_break: str | None = None,
) -> str:
    """A generated text as it may be posted; "" where nothing whole is left.

    `finished`: the model ended it by itself. Otherwise what is unfinished at its end is cut off, or the text dropped
    for it. `line_break` stands for a line break where the model learned it so; a line is whole then.
    A pair of quotation marks round the whole is removed.
    """
    if line_break:
        text = text.replace(line_break, "\n")
    text = fold_spaces(unicodedata.normalize("NFC", text).replace("\ufffd", ""), keep_newlines or bool(line_break))
    if not finished:
        kept = whole(text, lines=bool(line_break))
        text = kept if unfinished == "cut" or kept == text else ""
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1] and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
