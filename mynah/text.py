"""Cleaning of scraped and of generated text. Pure functions."""

import html
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the poster, which asks mynah.rules, needs neither
    from collections.abc import Collection

    from mynah.bot import Clean
    from mynah.document import Document

LINK = re.compile(r"(?:https?://|www\.|pic\.twitter\.com/|t\.co/)\S+", re.IGNORECASE)
# A name is preceded by no word character, so that e-mail addresses stay whole.
MENTION = re.compile(r"(?<![\w@])@\w+")
HASHTAG = re.compile(r"(?<!\w)#\w+")
WORD = re.compile(r"\w+(?:['’\-]\w+)*")
# A sentence ends with . ! ? … and what may close after it.
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)")
# Periods that end no sentence: initials and the commonest abbreviations.
ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Vol)|\b\w)\.$")
QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "'": "'", "‘": "’"}
ASCII = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "‐": "-", "‑": "-"}
)


def clean_scraped(document: "Document", rules: "Clean") -> tuple[str, str | None]:
    """(text, None), or ("", why the document is left out). Rules apply in the order of `Clean`'s fields."""
    text = document.text
    if rules.drop_retweets and (document.repost or text.startswith("RT @")):
        return "", "retweet"
    if rules.drop_replies and text.lstrip().startswith("@"):
        return "", "reply"
    if rules.drop_leading_link and LINK.match(text.lstrip()):
        return "", "begins with a link"
    if document.numbers.get("likes", rules.min_likes) < rules.min_likes:
        return "", "too few likes"
    text = drop_lines(text, rules.drop_lines)
    if rules.unescape_html:
        text = html.unescape(text)
    for wanted, pattern in (
        (rules.strip_links, LINK),
        (rules.strip_mentions, MENTION),
        (rules.strip_hashtags, HASHTAG),
    ):
        if wanted:
            text = pattern.sub("", text)
    if rules.ascii_only:
        text = text.translate(ASCII).encode("ascii", "ignore").decode()
    text = fold_spaces(unicodedata.normalize("NFC", text), rules.newlines == "keep")
    count = len(words(text))
    if count < rules.min_words:
        return "", "too few words"
    if rules.max_words is not None and count > rules.max_words:
        return "", "too many words"
    return text, None


def drop_lines(text: str, parts: "Collection[str]") -> str:
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


def words(text: str) -> list[str]:
    """The words of a text, lower-cased."""
    return [word.lower() for word in WORD.findall(text)]


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, white space and punctuation."""
    return " ".join(words(text)) or fold_spaces(text)


def clean_generated(text: str, finished: bool, keep_newlines: bool = False) -> str:
    """A generated text as it may be posted; "" where nothing whole is left.

    `finished`: the model ended it by itself. Otherwise the unfinished last sentence is dropped.
    A pair of quotation marks round the whole is removed.
    """
    text = fold_spaces(unicodedata.normalize("NFC", text).replace("\ufffd", ""), keep_newlines)
    if not finished:
        ends = [match.end() for match in SENTENCE_END.finditer(text) if not ABBREVIATION.search(text[: match.end()])]
        text = text[: ends[-1]] if ends else ""
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1] and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
