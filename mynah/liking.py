"""What a bot's curators like, learned from what they decided: logistic regression on a text's letters and shape.

A thousand decisions are learned in a second or two: with fewer texts than features, the model is solved by the texts'
similarities to each other (its dual form), of one small matrix. numpy is imported where something is learned.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mynah.text import words
from mynah.tweet import EMOJI, mentions, urls, weight

LEAST = 20  # decisions of each kind, from which on something is learned
NEWEST = 1000  # decisions that are learned from
HASHED = 1 << 13  # features for runs of letters and for words
STEPS = tuple(range(20, 300, 20))  # weighted characters: a text is as long as this, or not
RIDGE = 1.0  # how strongly the weights are held back
AT_ONCE = 1000  # texts whose features are in memory
ROUNDS = 8  # of Newton's method, which needs fewer
FOLDS = 4  # of the decisions, each of which is told from the others once


@dataclass(frozen=True)
class Liking:
    """What was learned of a bot's curators."""

    weights: Any
    bias: float
    auc: float
    """Of decisions held out: how often an approved text is put before a rejected one; 0.5 is chance."""
    approved: int
    rejected: int

    def scores(self, texts: Sequence[str]) -> list[float]:
        """How likely the curators are to approve each, in 0..1."""
        import numpy as np

        if not texts:
            return []
        # In parts, so that a thousand candidates take some 30 MB.
        parts = [_matrix(texts[begin : begin + AT_ONCE]) @ self.weights for begin in range(0, len(texts), AT_ONCE)]
        margins = np.concatenate(parts) + self.bias
        return [round(float(value), 3) for value in 1 / (1 + np.exp(-np.clip(margins, -30, 30)))]


def learn(texts: Sequence[str], approved: Sequence[bool]) -> Liking | None:
    """Learn from decisions, the newest last; None where there are fewer than LEAST of a kind."""
    texts, approved = texts[-NEWEST:], approved[-NEWEST:]
    yes = sum(approved)
    if min(yes, len(approved) - yes) < LEAST:
        return None
    import numpy as np

    features, wanted = _matrix(texts), np.array(approved, float)
    alike = (features @ features.T).astype(float)
    order = np.random.default_rng(0).permutation(len(texts))
    margins = np.empty(len(texts))
    for fold in range(FOLDS):
        held, rest = order[fold::FOLDS], np.setdiff1d(order, order[fold::FOLDS])
        dual, bias = _solve(alike[np.ix_(rest, rest)], wanted[rest])
        margins[held] = alike[np.ix_(held, rest)] @ dual + bias
    dual, bias = _solve(alike, wanted)
    weights = features.T @ dual.astype(np.float32)
    return Liking(weights, bias, round(auc(margins.tolist(), approved), 3), yes, len(approved) - yes)


def auc(scores: Sequence[float], approved: Sequence[bool]) -> float:
    """How often an approved text has a higher score than a rejected one; equal ones count half."""
    import numpy as np

    good, bad = (np.asarray(scores)[np.asarray(approved) == kind] for kind in (True, False))
    differ = np.subtract.outer(good, bad)
    return float(np.mean((differ > 0) + (differ == 0) / 2))


def _solve(alike: Any, wanted: Any) -> tuple[Any, float]:
    """The weight of each text, and the bias, by iterated least squares: the ridge of the primal form is RIDGE."""
    import numpy as np

    count = len(wanted)
    dual, bias = np.zeros(count), float(np.log(wanted.mean() / (1 - wanted.mean())))
    system = np.zeros((count + 1, count + 1))
    system[:count, count] = system[count, :count] = 1
    for _ in range(ROUNDS):
        margins = np.clip(alike @ dual + bias, -12, 12)
        likely = 1 / (1 + np.exp(-margins))
        slope = likely * (1 - likely)
        system[:count, :count] = alike
        system[np.arange(count), np.arange(count)] += RIDGE / slope
        solved = np.linalg.solve(system, np.append(margins + (wanted - likely) / slope, 0))
        moved = np.abs(solved[:count] - dual).max()
        dual, bias = solved[:count], float(solved[count])
        if moved < 1e-3:
            break
    return dual, bias


def _matrix(texts: Sequence[str]) -> Any:
    """A row for each text: its runs of letters and words, hashed, then its shape."""
    import numpy as np

    features = np.zeros((len(texts), HASHED + len(_shape("", []))), np.float32)
    for row, text in enumerate(texts):
        found = words(text)
        places = list({zlib.crc32(part.encode("utf-8", "surrogatepass")) % HASHED for part in _parts(text, found)})
        features[row, places] = 2 / max(1, len(places)) ** 0.5
        features[row, HASHED:] = _shape(text, found)
    return features


def _parts(text: str, found: list[str]) -> list[str]:
    """Its words, which were `found`, pairs of words, and runs of 3 characters."""
    folded = f" {' '.join(text.lower().split())} "
    runs = [folded[place : place + 3] for place in range(len(folded) - 2)]
    return [*runs, *(f"w {word}" for word in found), *(f"p {a} {b}" for a, b in pairwise(found))]


def _shape(text: str, found: list[str]) -> list[float]:
    """How a text looks, as numbers of about 1."""
    heavy = weight(text)
    letters = [character for character in text if character.isalpha()]
    variety = len(set(found)) / len(found) if found else 0.0
    twice = sum(1 for a, b in pairwise(found) if a == b)
    return [
        *(float(heavy >= step) for step in STEPS),
        *(float(variety < step) for step in (0.7, 0.8, 0.85, 0.9, 0.95, 1)),
        float(twice > 0),
        float("?" in text),
        float(text.rstrip().endswith("?")),
        float("!" in text),
        float("…" in text or "..." in text),
        float(any(mark in text for mark in '"“«„')),
        float("\n" in text),
        float(any(map(str.isdigit, text))),
        float(not text.isascii() and EMOJI.search(text) is not None),
        float("#" in text),
        float(bool(urls(text))),
        float(bool(mentions(text))),
        3 * sum(map(str.isupper, letters)) / max(1, len(letters)),
        min(1.0, len(found) / 24),
    ]
