"""Judges a generated text: a score, its parts, and the reason of every rejection."""

from collections.abc import Iterable
from dataclasses import dataclass

from mynah.bot import Judge
from mynah.text import LINK, MENTION, same_text_key, words

RUN = 5  # words; a shared run this long is copying rather than chance


@dataclass(frozen=True)
class Verdict:
    """`score` and its parts lie in 0..1, the better the higher; `reason` is None for a text worth curating."""

    score: float
    scores: dict[str, float]
    reason: str | None


class Copied:
    """Knows the training texts, and how much of a new text stands word for word in them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole: set[int] = set()
        self._runs: set[int] = set()
        for text in texts:
            self._whole.add(hash(same_text_key(text)))
            self._runs.update(_runs(text))

    def share(self, text: str) -> float:
        """The share of the text's 5-word runs that the training texts hold; 1 for a whole training text."""
        if hash(same_text_key(text)) in self._whole:
            return 1.0
        runs = _runs(text)
        return sum(run in self._runs for run in runs) / len(runs) if runs else 0.0


def judge(text: str, rules: Judge, copied: Copied, weight: int) -> Verdict:
    """Judge a cleaned text; `weight` is its length in X's weighted characters. "" is an unfinished text."""
    found = words(text)
    variety = len(set(found)) / len(found) if found else 0.0
    share = copied.share(text)
    # Two dozen words say more than five; more than that is not better still.
    substance = min(1.0, len(found) / 24)
    scores = {"variety": variety, "novelty": 1 - share, "substance": substance}
    checks = (
        (not text, "unfinished: no whole sentence"),
        (len(found) < rules.min_words, f"{len(found)} words, fewer than {rules.min_words}"),
        (weight > rules.max_weight, f"weighs {weight} characters, more than {rules.max_weight}"),
        (not rules.allow_links and LINK.search(text), "contains a link"),
        (not rules.allow_mentions and MENTION.search(text), "mentions an account"),
        (variety < rules.min_variety, f"repeats itself: variety {variety:.2f}, below {rules.min_variety:g}"),
        (share > rules.max_copied, f"copied: {share:.0%} of it stands in the training texts"),
    )
    return Verdict(
        score=round(variety * (1 - share) * (0.5 + substance / 2), 3),
        scores={name: round(value, 3) for name, value in scores.items()},
        reason=next((reason for failed, reason in checks if failed), None),
    )


def _runs(text: str) -> list[int]:
    every = words(text)
    return [hash(tuple(every[start : start + RUN])) for start in range(len(every) - RUN + 1)]
