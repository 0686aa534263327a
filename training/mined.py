"""Prompts from the corpus: how its texts like to begin, and the phrases that come up again and again."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mynah.text import WORD

TEXTS = 20_000  # that are read, at the most, spread evenly; their phrases take some 100 MB
MOST = 200  # prompts that a dataset keeps
LENGTHS = (2, 3, 4)  # words of a prompt
SELDOM = 3  # texts; what fewer have in common is chance
COMMON = 0.05  # of the texts; a word that more of them have says nothing of what they are about
ENDS = re.compile(r"[.!?…\n]")


def mine(texts: Sequence[str]) -> list[str]:
    """At most MOST prompts, the best first: those that many texts have, and longer ones before shorter.

    A phrase inside a text begins and ends with words that are not everywhere. Of those that nearly say the same, the
    best is kept, as it is most often written.
    """
    everywhere = _everywhere(texts)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({key for key, _ in _phrases(text, everywhere)})
    ranked = sorted(
        ((count * len(key.split()), key) for key, count in counts.items() if count >= SELDOM),
        key=lambda each: (-each[0], each[1]),
    )
    chosen: list[str] = []
    for _, key in ranked:
        if len(chosen) == MOST:
            break
        if not any(_nearly_equal(key, other) for other in chosen):
            chosen.append(key)
    written: dict[str, Counter[str]] = {key: Counter() for key in chosen}
    for text in texts:
        for key, surface in _phrases(text, everywhere):
            if key in written:
                written[key][surface] += 1
    return [min(forms.items(), key=lambda form: (-form[1], form[0]))[0] for forms in written.values()]


def _everywhere(texts: Sequence[str]) -> set[str]:
    counts = Counter(word for text in texts for word in {word.lower() for word in WORD.findall(text)})
    return {word for word, count in counts.items() if count > max(SELDOM, COMMON * len(texts))}


def _phrases(text: str, everywhere: set[str]) -> Iterator[tuple[str, str]]:
    """The openings and phrases of a text: in small letters, and as they are written."""
    found = list(WORD.finditer(text))
    small = [match.group().lower() for match in found]
    for length in LENGTHS:
        for start in range(len(found) - length + 1):
            last = start + length - 1
            if start and (small[start] in everywhere or small[last] in everywhere):
                continue
            surface = text[found[start].start() : found[last].end()]
            if not ENDS.search(surface):
                yield " ".join(small[start : last + 1]), surface


def _nearly_equal(one: str, other: str) -> bool:
    """Whether one is a part of the other, or they share most of their words."""
    words, others = set(one.split()), set(other.split())
    return f" {one} " in f" {other} " or f" {other} " in f" {one} " or len(words & others) * 2 > len(words | others)
