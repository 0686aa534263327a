"""What may be said and what may be posted: one function per rule, one place for all who ask.

`may_post` holds for every text that is posted, whoever wrote it: the judge, the curator and the poster ask it.
`judge` asks more of a text that a model wrote, and scores it.
"""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mynah.lengths import BLUESKY_BYTES, BLUESKY_GRAPHEMES, graphemes
from mynah.text import HASHTAG, words
from mynah.toxicity import toxicity
from mynah.tweet import mentions, urls, weight

if TYPE_CHECKING:
    from mynah.bot import Judge
    from mynah.recitation import Copied

MAX_WEIGHT = 280  # of a post on X, from an account that does not pay
PHRASE = 8  # words of the longest phrase that is seen to be repeated in a row


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
class Near:
    """An earlier text that is nearly the same."""

    id: int
    bot: str
    text: str
    similarity: float
    """The share of the runs of 5 characters that is in both."""


@dataclass(frozen=True)
class Verdict:
    """`score` and its parts lie in 0..1, the better the higher; `rejections` are the rules that the text breaks."""

    score: float
    scores: dict[str, float]
    rejections: tuple[Rejection, ...]

    @property
    def rejection(self) -> Rejection | None:
        """The first; None for a text worth curating."""
        return next(iter(self.rejections), None)


def may_post(text: str, rules: "Judge") -> Rejection | None:
    """Why the bot may not post this text; None where it may."""
    return next(_forbidden(text, rules), None)


def refused_by_x(text: str, max_weight: int = MAX_WEIGHT) -> Rejection | None:
    """Why X would not take this text from an account with this limit; None where it would."""
    return empty(text) or character(text) or long(text, max_weight)


def judge(
    text: str, rules: "Judge", copied: "Copied", near: Near | None = None, accounts: Collection[str] = ()
) -> Verdict:
    """Judge a cleaned text that a model wrote. "" is an unfinished one.

    `near` is the earlier text that comes nearest, where it is known; `accounts` the kinds of account that it is for.
    Raises UsageError for a language in judge.languages that cannot be told.
    """
    found = words(text)
    variety = len(set(found)) / len(found) if found else 0.0
    share = copied.share(text)
    # Two dozen words say more than five; more than that is not better still.
    substance = min(1.0, len(found) / 24)
    scores = {"variety": variety, "novelty": 1 - share, "substance": substance}
    return Verdict(
        score=round(variety * (1 - share) * (0.5 + substance / 2), 3),
        scores={name: round(value, 3) for name, value in scores.items()},
        rejections=tuple(_broken(text, found, variety, rules, copied, near, accounts)),
    )


def _forbidden(text: str, rules: "Judge") -> Iterator[Rejection]:
    if not_taken := refused_by_x(text, rules.max_weight):
        yield not_taken
    if not rules.allow_links and (linked := link(text)):
        yield linked
    if not rules.allow_mentions and (named := mention(text)):
        yield named
    if rules.allow_hashtags is not None and (tagged := hashtags(text, rules.allow_hashtags)):
        yield tagged


def _broken(
    text: str,
    found: list[str],
    variety: float,
    rules: "Judge",
    copied: "Copied",
    near: Near | None,
    accounts: Collection[str],
) -> Iterator[Rejection]:
    """Every rule that a text breaks; of one without a sentence, no more is asked."""
    if not text:
        yield Rejection("unfinished", "no whole sentence")
        return
    if few := short(len(found), rules.min_words):
        yield few
    yield from _forbidden(text, rules)
    for rejection in (
        long_for_bluesky(text) if "bluesky" in accounts else None,
        repetitive(variety, rules.min_variety),
        in_a_row(found, rules.max_in_a_row),
        copying(text, rules, copied),
        similar(near, rules.max_similarity),
        foreign(text, rules.languages),
        toxic(text, rules),
    ):
        if rejection:
            yield rejection


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


def hashtags(text: str, most: int) -> Rejection | None:
    if (number := len(HASHTAG.findall(text))) > most:
        return Rejection("hashtag", f"it has {number} #tags, and judge.allow_hashtags is {most}")
    return None


# What is worth a person's time.


def long_for_bluesky(text: str) -> Rejection | None:
    """What Bluesky takes is the same everywhere; a server of Mastodon says it, when the text is posted."""
    if (characters := graphemes(text)) > BLUESKY_GRAPHEMES or len(text.encode()) > BLUESKY_BYTES:
        return Rejection("long", f"it has {characters} characters, and Bluesky takes {BLUESKY_GRAPHEMES}")
    return None


def short(count: int, min_words: int) -> Rejection | None:
    return Rejection("short", f"{count} words, fewer than {min_words}") if count < min_words else None


def repetitive(variety: float, min_variety: float) -> Rejection | None:
    if variety < min_variety:
        return Rejection("repetitive", f"it repeats itself: variety {variety:.2f}, below {min_variety:g}")
    return None


def in_a_row(found: list[str], most: int) -> Rejection | None:
    """Of a phrase of up to PHRASE words."""
    for size in range(1, PHRASE + 1):
        same = 0  # words in a row that are those `size` places before
        for place in range(size, len(found)):
            same = same + 1 if found[place] == found[place - size] else 0
            if same >= most * size:
                phrase = " ".join(found[place - size + 1 : place + 1])
                return Rejection("repetitive", f"it says “{phrase}” more than {most} times in a row")
    return None


def copying(text: str, rules: "Judge", copied: "Copied") -> Rejection | None:
    if (share := copied.share(text)) > rules.max_copied:
        return Rejection("copied", f"{share:.0%} of it stands in the training texts")
    if rules.max_copied_words is not None and (longest := copied.longest(text)) > rules.max_copied_words:
        return Rejection("copied", f"{longest} words in a row stand in the training texts")
    if (likeness := copied.nearest(text)) > rules.max_copied_likeness:
        return Rejection("copied", f"it is like a training text: {likeness:.0%} is the same")
    return None


def similar(near: Near | None, max_similarity: float) -> Rejection | None:
    if near and near.similarity >= max_similarity:
        return Rejection("similar", f"{near.similarity:.0%} of it is tweet {near.id} of {near.bot}")
    return None


def foreign(text: str, languages: Sequence[str]) -> Rejection | None:
    if not languages:
        return None
    from mynah.language import UNSURE, probability

    if probability(text, frozenset(languages), "judge.languages") < UNSURE:
        return Rejection("language", f"it is not in {' or '.join(languages)}")
    return None


def toxic(text: str, rules: "Judge") -> Rejection | None:
    for language, most in rules.max_toxicity.items():
        if not rules.languages or language in rules.languages:
            found = toxicity(text, [language], rules.allow_words)
            if found.toxicity >= most:
                said = ", ".join(found.words[:3])
                return Rejection("toxic", f"toxicity {found.toxicity:.2f} ({said}), not below {most:g}")
    return None
