"""What samples of a model are like: how many recite the training texts, how many are whole, how varied they are.

Promotion writes it and judges by it; what shows a model reads it: <bot>/evaluations/<model>/samples.json.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from mynah.bucket import Bucket, utc_now
from mynah.recitation import Copied
from mynah.text import same_text_key, words

FILE = "samples.json"
SPAN = 12  # words in a row that stand in the training texts: no text of its own any more
NEAR = 0.8  # share of a training text's 5-character runs
SHOWN = 5  # texts that recite, kept to be looked at


@dataclass(frozen=True)
class Sampled:
    """Figures of a model's samples. Shares lie in 0..1."""

    samples: int
    texts: int
    """Samples of which a text is left; the figures below are of these."""
    recited: int
    """Texts that are a training text, but for case and punctuation, share SPAN words in a row with them, or are near
    one."""
    whole: int
    """Of those, texts that are a training text."""
    longest: int
    """Words of the longest span that stands in the training texts."""
    finished: int
    """Texts that the model ended by itself."""
    distinct: int
    """Texts, each counted once."""
    distinct_2: float
    """Pairs of words that follow each other: how many differ, as a share of all."""
    mean_words: float
    mean_characters: float
    reciting: tuple[str, ...]
    """Some of the texts that recite."""

    @property
    def share_recited(self) -> float:
        return self.recited / self.texts if self.texts else 0.0

    def summary(self) -> str:
        """How the texts are, in a line, recitation left out."""
        return (
            f"{self.finished} of {self.samples} finished, {self.distinct} differ, distinct-2 {self.distinct_2:.2f}, "
            f"{self.mean_words:.0f} words each"
        )


def figures(samples: Sequence[tuple[str, bool]], copied: Copied) -> Sampled:
    """Figures of samples, each a cleaned text, "" where nothing is left of it, and whether the model ended it."""
    texts = [text for text, _ in samples if text]
    spans = [copied.longest(text) for text in texts]
    whole = [copied.is_whole(text) for text in texts]
    reciting = [
        text
        for text, span, same in zip(texts, spans, whole, strict=True)
        if same or span >= SPAN or copied.nearest(text) >= NEAR
    ]
    found = [words(text) for text in texts]
    pairs = [pair for each in found for pair in pairwise(each)]
    return Sampled(
        samples=len(samples),
        texts=len(texts),
        recited=len(reciting),
        whole=sum(whole),
        longest=max(spans, default=0),
        finished=sum(finished for text, finished in samples if text),
        distinct=len({same_text_key(text) for text in texts}),
        distinct_2=round(len(set(pairs)) / len(pairs), 3) if pairs else 0.0,
        mean_words=round(sum(map(len, found)) / len(texts), 1) if texts else 0.0,
        mean_characters=round(sum(map(len, texts)) / len(texts), 1) if texts else 0.0,
        reciting=tuple(reciting[:SHOWN]),
    )


def write_samples(bucket: Bucket, bot: str, model: str, sampled: Sampled) -> None:
    """Keep a model's figures, in place of earlier ones."""
    facts = {"model": model, **asdict(sampled), "at": utc_now()}
    bucket.write(json.dumps(facts, indent=1, ensure_ascii=False).encode(), bot, "evaluations", model, FILE)


def samples_of(bucket: Bucket, bot: str, model: str) -> Sampled | None:
    """What was found of a model's samples; None where it was not asked for any."""
    try:
        facts: dict[str, Any] = json.loads(bucket.read(bot, "evaluations", model, FILE))
    except FileNotFoundError:
        return None
    known = {name: facts[name] for name in Sampled.__dataclass_fields__ if name in facts}
    return Sampled(**{**known, "reciting": tuple(facts["reciting"])})
