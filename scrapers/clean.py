"""What the rules of cleaning do to what was scraped: counts by rule, and documents to look at.

It changes nothing. `mynah dataset` applies the same rules, from the same table (see mynah.cleaning).
"""

import difflib
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.cleaning import RULES, Step, cleaning, keys
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.progress import track

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {"-": "red strike", "+": "green", "": ""}
MARKS = {"-": ("[-", "-]"), "+": ("{+", "+}"), "": ("", "")}  # where there is no colour, as git's --word-diff has them


@dataclass(frozen=True)
class Sample:
    """A document, and what the rules did to it."""

    source: str
    id: str
    reason: str | None
    """Why it is left out; None where it is kept."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Checked:
    """What the rules did to all documents."""

    documents: int
    kept: int
    changed: dict[str, int]
    """How many documents each rule changed, whatever became of them."""
    left_out: dict[str, int]
    """How many documents each rule left out."""
    samples: list[Sample]

    def summary(self) -> str:
        lines = [f"{self.documents:,} documents, {self.kept:,} kept"]
        for what, counts in (("changed", self.changed), ("left out", self.left_out)):
            lines += [f"  {what:<9} {number:>9,}  {key}" for key, number in counts.items()]
        return "\n".join(lines)


def check(bot: Bot, bucket: Bucket, samples: int = 0) -> Checked:
    """Clean every document that was scraped for `bot`, with up to `samples` of those that a rule touched.

    They are drawn by chance, always the same ones, and from every rule's in turn. Raises MynahError where nothing was
    scraped.
    """
    raw = [(source, name) for source in bot.sources for name in bucket.names(bot.name, "raw", source)]
    if not raw:
        raise MynahError(f"bot {bot.name} has no documents yet: run `mynah scrape {bot.name}`")
    clean = cleaning(bot.clean)
    documents = kept = 0
    changed, left_out = Counter[str](), Counter[str]()
    drawn: dict[str, list[Sample]] = {}
    chance = random.Random(0)  # noqa: S311 - a draw, no secret
    for source, name in track(raw, "cleaning", len(raw)):
        for document in unpack(bucket.read(bot.name, "raw", source, name)):
            documents += 1
            cleaned = clean(document)
            kept += cleaned.reason is None
            for key in keys(cleaned.steps):
                dropped = cleaned.reason is not None and key == cleaned.steps[-1].key
                counts = left_out if dropped else changed
                counts[key] += 1
                place = chance.randrange(counts[key])  # of a draw of `samples` from all so far
                if place < samples:
                    of_rule = drawn.setdefault(key, [])
                    sample = Sample(source, document.id, cleaned.reason, cleaned.steps)
                    of_rule[place : place + (counts[key] > samples)] = [sample]
    return Checked(documents, kept, _in_order(changed), _in_order(left_out), _in_turn(drawn, samples))


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {rule.key: counts[rule.key] for rule in RULES if counts[rule.key]}


def _in_turn(drawn: dict[str, list[Sample]], most: int) -> list[Sample]:
    """One of each rule's, then a second one of each; no document twice."""
    chosen: dict[tuple[str, str], Sample] = {}
    for turn in zip_longest(*(drawn.get(rule.key, []) for rule in RULES)):
        for sample in turn:
            if sample and len(chosen) < most:
                chosen.setdefault((sample.source, sample.id), sample)
    return list(chosen.values())


def shown(sample: Sample, colour: bool) -> "Text":
    """A sample for a terminal: what each rule took away and put there."""
    from rich.text import Text

    text = Text(f"{sample.source} {sample.id}", style="bold" if colour else "")
    text.append(f"  left out: {sample.reason}\n" if sample.reason else "  kept\n")
    for step in sample.steps:
        text.append(f"  {step.key:<22}", style="cyan" if colour else "not bold")
        for mark, part in [("-", step.before)] if step.after is None else difference(step.before, step.after):
            before, after = ("", "") if colour else MARKS[mark]
            text.append(f"{before}{_visible(part)}{after}", style=STYLES[mark] if colour else "")
        text.append("\n")
    return text


def difference(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The parts of two texts, by words: ("-", taken away), ("+", put there), ("", in both)."""
    old, new = re.findall(r"\s+|\w+|[^\w\s]+", before), re.findall(r"\s+|\w+|[^\w\s]+", after)
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield "", "".join(old[i:j])
            continue
        if i < j:
            yield "-", "".join(old[i:j])
        if k < m:
            yield "+", "".join(new[k:m])


def _visible(text: str) -> str:
    """What was scraped may hold commands to a terminal."""
    return "".join(
        one if one.isprintable() else "⏎" if one == "\n" else one.encode("unicode_escape").decode() for one in text
    )
