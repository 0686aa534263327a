"""Whether a text sounds positive, neutral or negative: offline, in the languages where it was measured.

`make bench PART=sentiment` measures it on labelled texts; docs/playing.md has the figures. A language that is not
measured has none. A text of an answer is stored with the answer's `language` and, where there is one, its `sentiment`:
a known prompt is not judged again.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mynah.language import likeliest
from serving.tweets.russian import valence

Sentiment = Literal["positive", "neutral", "negative"]
Text = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What tells how a language sounds: a number for a text, and the band in which that says neither."""

    valence: Callable[[str], float]
    low: float
    high: float


def _english(text: str) -> float:
    """VADER's compound score, in -1..1 (Hutto and Gilbert, 2014)."""
    return float(_vader().polarity_scores(text)["compound"])


@functools.cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


# The bands were chosen on every other labelled text: that with the best macro-F1 which costs no accuracy.
MEASURED: Mapping[str, Measured] = {"en": Measured(_english, -0.05, 0.15), "ru": Measured(valence, 0.0, 0.0)}


def sentiment(text: str, language: str) -> Sentiment:
    """How a text sounds. Raises KeyError for a language that is not in MEASURED."""
    measured = MEASURED[language]
    found = measured.valence(text)
    if found < measured.low:
        return "negative"
    return "positive" if found > measured.high else "neutral"


def felt(texts: Sequence[Text], declared: Sequence[str]) -> list[Text]:
    """The texts of an answer, each with the language of them all, and its sentiment where that is measured.

    `declared` are the bot's `clean.languages`: a single one is it, else it is guessed; None where it could be any.
    """
    if not texts:
        return []
    language = declared[0] if len(declared) == 1 else likeliest("\n".join(text["text"] for text in texts))
    if language is None or language not in MEASURED:
        return [{**text, "language": language} for text in texts]
    return [{**text, "language": language, "sentiment": sentiment(text["text"], language)} for text in texts]


def answers(texts: Sequence[Text]) -> dict[str, str | None]:
    """The sentiment of an answer whose texts are `felt`, the best first: its language, and the majority or why not.

    Of sentiments that are equally frequent, that of the best text among theirs counts.
    """
    if not texts:
        return {"language": None, "off": "there is no text"}
    if "language" not in texts[0]:
        return {"language": None, "off": "this answer was written before sentiment was told"}
    language = texts[0]["language"]
    if language is None:
        return {"language": None, "off": "it is not clear which language the texts are in"}
    if "sentiment" not in texts[0]:
        return {"language": language, "off": f"there is no measured sentiment for {language}"}
    # Equal counts come in the order in which they were met.
    return {"language": language, "majority": Counter(text["sentiment"] for text in texts).most_common(1)[0][0]}
