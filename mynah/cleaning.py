"""From scraped documents to training texts: the rules of the section `clean`, in one table, in their order.

A rule is switched on by the key of its name. Some leave a document out for what it is, some change its text, some leave
it out for what is left of it. The changes are repeated until none of them changes anything, because one can make work
for another: an entity hides a link, a removed link joins what stood round it. Cleaning a cleaned text changes nothing.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from mynah.bot import Clean
from mynah.document import Document
from mynah.language import probability
from mynah.text import HASHTAG, LINK, MENTION, count_words, drop_lines, fold_spaces
from mynah.tweet import EMOJI

ROUNDS = 20  # of changes; a text that still changes is made to tangle
ASCII = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "‐": "-", "‑": "-"}
)
# &amp;amp;lt; is < in the end, however often it was escaped: & by its names and numbers, with what follows it.
AMPERSANDS = re.compile(r"&(?:(?:amp|AMP|#0*38(?!\d)|#[xX]0*26(?![\da-fA-F]));?)+")
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Filter:
    """Leaves documents out. `make` gives None where the section switches the rule off, else what asks of a document,
    and of its text as it is now, whether it is left out."""

    key: str
    reason: str
    make: Callable[[Clean], Callable[[Document, str], bool] | None]


@dataclass(frozen=True)
class Change:
    """Changes texts. `make` gives None where the section switches the rule off."""

    key: str
    make: Callable[[Clean], Callable[[str], str] | None]


@dataclass(frozen=True)
class Step:
    """What a rule did to a text. `after` is None where it left the document out."""

    key: str
    before: str
    after: str | None


@dataclass(frozen=True)
class Cleaned:
    """A document's text, cleaned; or "" and why the document is left out."""

    text: str
    reason: str | None
    steps: tuple[Step, ...]
    """The rules that did something, in their order."""


def _retweet(document: Document, text: str) -> bool:
    return document.repost or text.startswith("RT @")


def _reply(document: Document, text: str) -> bool:
    mention = MENTION.match(text.lstrip())
    if mention is None:
        return text.lstrip().startswith("@")
    # A thread goes on by answering oneself.
    return document.author is None or mention.group()[1:].lower() != document.author.removeprefix("@").lower()


def _few_likes(rules: Clean) -> Callable[[Document, str], bool] | None:
    least = rules.min_likes
    return (lambda document, text: document.numbers.get("likes", least) < least) if least else None


ABOUT_DOCUMENTS = (
    Filter("drop_retweets", "retweet", lambda rules: _retweet if rules.drop_retweets else None),
    Filter("drop_replies", "reply", lambda rules: _reply if rules.drop_replies else None),
    Filter(
        "drop_leading_link",
        "begins with a link",
        lambda rules: (lambda _, text: LINK.match(text.lstrip()) is not None) if rules.drop_leading_link else None,
    ),
    Filter("min_likes", "too few likes", _few_likes),
)


def _drop_lines(rules: Clean) -> Callable[[str], str] | None:
    parts = rules.drop_lines
    return (lambda text: drop_lines(text, parts)) if parts else None


def _drop_lines_matching(rules: Clean) -> Callable[[str], str] | None:
    patterns = [regex.compile(pattern) for pattern in rules.drop_lines_matching]

    def drop(text: str) -> str:
        return "\n".join(line for line in text.splitlines() if not any(found.search(line) for found in patterns))

    return drop if patterns else None


def _strip_headers(rules: Clean) -> Callable[[str], str] | None:
    headers = tuple(header for header in rules.strip_headers if header)

    def strip(text: str) -> str:
        begin = text.lstrip()
        while header := next((header for header in headers if begin.startswith(header)), None):
            text = begin = begin.removeprefix(header).lstrip()
        return text

    return strip if headers else None


def _unescape(text: str) -> str:
    return html.unescape(AMPERSANDS.sub("&", text)) if "&" in text else text


def _without_links(text: str) -> str:
    """Most texts have none of what every link has, and need no search."""
    return LINK.sub("", text) if "/" in text or "www." in text.lower() else text


def _without(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: pattern.sub("", text)


def _without_emoji(text: str) -> str:
    """A space stands for each, so that the words beside it stay two."""
    return text if text.isascii() else EMOJI.sub(" ", text)


def _ascii(text: str) -> str:
    return text if text.isascii() else text.translate(ASCII).encode("ascii", "ignore").decode()


def _case(rules: Clean) -> Callable[[str], str] | None:
    return {"keep": None, "lower": str.lower, "upper": str.upper}[rules.case]


def _fold(rules: Clean) -> Callable[[str], str]:
    """White space folded, and characters in their usual form (NFC), without halves, which UTF-8 cannot write."""
    keep = rules.newlines == "keep"

    def fold(text: str) -> str:
        if not text.isascii():
            text = SURROGATE.sub(" ", unicodedata.normalize("NFC", text))
        return fold_spaces(text, keep)

    return fold


# Of lines as they were scraped: a text whose lines were joined has none.
OF_LINES = (
    Change("drop_lines", _drop_lines),
    Change("drop_lines_matching", _drop_lines_matching),
)
OF_TEXTS = (
    Change("strip_headers", _strip_headers),
    Change("unescape_html", lambda rules: _unescape if rules.unescape_html else None),
    Change("strip_links", lambda rules: _without_links if rules.strip_links else None),
    Change("strip_mentions", lambda rules: _without(MENTION) if rules.strip_mentions else None),
    Change("strip_hashtags", lambda rules: _without(HASHTAG) if rules.strip_hashtags else None),
    Change("strip_emoji", lambda rules: _without_emoji if rules.strip_emoji else None),
    Change("case", _case),
    Change("ascii_only", lambda rules: _ascii if rules.ascii_only else None),
    Change("newlines", _fold),
)


def _max_words(rules: Clean) -> Callable[[Document, str], bool] | None:
    most = rules.max_words
    return None if most is None else lambda _, text: count_words(text) > most


def _max_characters(rules: Clean) -> Callable[[Document, str], bool] | None:
    most = rules.max_characters
    return None if most is None else lambda _, text: len(text) > most


def _shouts(rules: Clean) -> Callable[[Document, str], bool] | None:
    most = rules.max_capitals

    def shouts(_: Document, text: str) -> bool:
        # Scripts without capitals cannot shout.
        capitals, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
        return capitals > most * (capitals + small)

    return shouts if most < 1 else None


def _foreign(rules: Clean) -> Callable[[Document, str], bool] | None:
    wanted, least = frozenset(rules.languages), rules.min_language_confidence
    return (lambda _, text: probability(text, wanted) < least) if wanted else None


ABOUT_TEXTS = (
    Filter("min_words", "too few words", lambda rules: lambda _, text: count_words(text) < rules.min_words),
    Filter("max_words", "too many words", _max_words),
    Filter("min_characters", "too few characters", lambda rules: lambda _, text: len(text) < rules.min_characters),
    Filter("max_characters", "too many characters", _max_characters),
    Filter("max_capitals", "shouting", _shouts),
    Filter("languages", "another language", _foreign),
)
RULES: tuple[Filter | Change, ...] = (*ABOUT_DOCUMENTS, *OF_LINES, *OF_TEXTS, *ABOUT_TEXTS)


def cleaning(rules: Clean) -> Callable[[Document], Cleaned]:
    """What cleans documents by the rules of this section."""
    about_documents = [(rule, ask) for rule in ABOUT_DOCUMENTS if (ask := rule.make(rules))]
    about_texts = [(rule, ask) for rule in ABOUT_TEXTS if (ask := rule.make(rules))]
    of_texts = [(rule.key, apply) for rule in OF_TEXTS if (apply := rule.make(rules))]
    of_lines = [(rule.key, apply) for rule in OF_LINES if (apply := rule.make(rules))]
    again = of_texts if rules.newlines == "space" else of_lines + of_texts

    def clean(document: Document) -> Cleaned:
        text, steps = document.text, list[Step]()

        def left_out(key: str, reason: str) -> Cleaned:
            return Cleaned("", reason, (*steps, Step(key, text, None)))

        for rule, ask in about_documents:
            if ask(document, text):
                return left_out(rule.key, rule.reason)
        changes = of_lines + of_texts
        for _ in range(ROUNDS):
            before = text
            for key, apply in changes:
                changed = apply(text)
                if changed != text:
                    steps.append(Step(key, text, changed))
                    text = changed
            if text == before:
                break
            changes = again
        else:
            return left_out("unescape_html", "never comes to an end of its entities")
        if steps:  # what stands first now may be a link, or a name
            for rule, ask in about_documents:
                if ask(document, text):
                    return left_out(rule.key, rule.reason)
        for rule, ask in about_texts:
            if ask(document, text):
                return left_out(rule.key, rule.reason)
        return Cleaned(text, None, tuple(steps))

    return clean


def keys(steps: tuple[Step, ...]) -> Iterator[str]:
    """The rules that did something, each once, in their order."""
    return iter(dict.fromkeys(step.key for step in steps))
