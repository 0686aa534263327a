"""What may be said and what may be posted: one function per rule, one place for all who ask.

`may_post` holds for every text that is posted, whoever wrote it: the judge, the curator and the poster ask it.
`judge` asks more of a text that a model wrote, and scores it.
"""

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mynah.text import words
from mynah.tweet import mentions, urls, weight

if TYPE_CHECKING:
    from mynah.bot import Judge
    from mynah.recitation import Copied

MAX_WEIGHT = 280  # of a post on X, from an account that does not pay


@dataclass(frozen=True)
class Rejection:
    """Which rule a text breaks (`code`, for programs), and how (`words`, to stand after a colon)."""

    code: str
    words: str

    @property
    def reason(self) -> str:
        """Both in one line, as it is stored with a tweet."""
        return f"{self.code}: {self.words}"


@dataclass(frozen=True)
class Verdict:
    """`score` and its parts lie in 0..1, the better the higher; `rejection` is None for a text worth curating."""

    score: float
    scores: dict[str, float]
    rejection: Rejection | None


def may_post(text: str, rules: "Judge") -> Rejection | None:
    """Why the bot may not post this text; None where it may."""
    return (
        refused_by_x(text, rules.max_weight)
        or (None if rules.allow_links else link(text))
        or (None if rules.allow_mentions else mention(text))
    )


def refused_by_x(text: str, max_weight: int = MAX_WEIGHT) -> Rejection | None:
    """Why X would not take this text from an account with this limit; None where it would."""
    return empty(text) or character(text) or long(text, max_weight)


def judge(text: str, rules: "Judge", copied: "Copied") -> Verdict:
    """Judge a cleaned text that a model wrote. "" is an unfinished one."""
    found = words(text)
    variety = len(set(found)) / len(found) if found else 0.0
    share = copied.share(text)
    # Two dozen words say more than five; more than that is not better still.
    substance = min(1.0, len(found) / 24)
    scores = {"variety": variety, "novelty": 1 - share, "substance": substance}
    return Verdict(
        score=round(variety * (1 - share) * (0.5 + substance / 2), 3),
        scores={name: round(value, 3) for name, value in scores.items()},
        rejection=unfinished(text)
        or short(len(found), rules.min_words)
        or may_post(text, rules)
        or repetitive(variety, rules.min_variety)
        or copying(share, rules.max_copied),
    )


# What may be posted.


def empty(text: str) -> Rejection | None:
    if not text or all(unicodedata.category(character)[0] in "ZC" for character in text):
        return Rejection("empty", "it is empty")
    return None


def character(text: str) -> Rejection | None:
    for each in text:
        # Surrogates and NUL: neither JSON nor Postgres carries them.
        if each in "\ufffe\ufeff\uffff\0" or unicodedata.category(each) == "Cs":
            return Rejection("character", f"it contains the character U+{ord(each):04X}, which X does not take")
    return None


def long(text: str, max_weight: int) -> Rejection | None:
    if (heavy := weight(text)) > max_weight:
        return Rejection("long", f"it weighs {heavy} of at most {max_weight} weighted characters")
    return None


def link(text: str) -> Rejection | None:
    if links := urls(text):
        return Rejection("link", f"it contains a link ({links[0]}), and judge.allow_links is false")
    return None


def mention(text: str) -> Rejection | None:
    if names := mentions(text):
        return Rejection("mention", f"it mentions an account ({names[0]}), and judge.allow_mentions is false")
    return None


# What is worth a person's time.


def unfinished(text: str) -> Rejection | None:
    return None if text else Rejection("unfinished", "no whole sentence")


def short(count: int, min_words: int) -> Rejection | None:
    return Rejection("short", f"{count} words, fewer than {min_words}") if count < min_words else None


def repetitive(variety: float, min_variety: float) -> Rejection | None:
    if variety < min_variety:
        return Rejection("repetitive", f"it repeats itself: variety {variety:.2f}, below {min_variety:g}")
    return None


def copying(share: float, max_copied: float) -> Rejection | None:
    if share > max_copied:
        return Rejection("copied", f"{share:.0%} of it stands in the training texts")
    return None
