"""How soon candidates come in the order that a curator likes: `make bench PART=ranking`.

Made curators decide about real jokes: one likes questions, one hates repetition (a word that comes twice), one likes
what is about the family, one wants fewer than 80 characters. 200 texts drawn at random are decided, a tenth of them
against the curator's own taste; then a thousand others are ranked. Of the first 20, how
many are approved: by the judge's score alone, and by what was learned.
"""

import csv
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mynah.bot import Clean, Judge
from mynah.cleaning import cleaning
from mynah.document import Document
from mynah.liking import auc, learn
from mynah.recitation import Copied
from mynah.rules import judge
from mynah.text import words

JOKES = Path(__file__).parents[3] / "shared/data/jokes/onelinefun.csv"
DECIDED, RANKED, FIRST = 200, 1000, 20
CHANGED = 0.1  # of the decisions: nobody decides the same each time
FAMILY = frozenset(
    [
        *(
            "wife",
            "husband",
            "mother",
            "father",
            "mom",
            "mum",
            "dad",
            "son",
            "daughter",
            "kid",
            "kids",
            "child",
            "family",
        ),
        *("children", "parents", "brother", "sister", "married", "marriage", "girlfriend", "boyfriend"),
    ]
)

CURATORS: dict[str, Callable[[str], bool]] = {
    "likes questions": lambda text: "?" in text,
    "hates repetition": lambda text: len(set(words(text))) == len(words(text)),
    "likes family": lambda text: not FAMILY.isdisjoint(words(text)),
    "wants under 80 characters": lambda text: len(text) < 80,
}


def texts() -> list[str]:
    """Those of the jokes that the judge lets pass."""
    clean, nothing = cleaning(Clean()), Copied.of(())
    with JOKES.open(newline="", encoding="utf-8") as file:
        found = [clean(Document(id="", text=row["Joke"])).text for row in csv.DictReader(file)]
    return [text for text in dict.fromkeys(found) if text and not judge(text, Judge(), nothing).rejection]


def main() -> None:
    """Print the table; exit 1 where a curator is shown no more of what they like than before."""
    if not JOKES.is_file():
        sys.exit(f"the jokes are missing: {JOKES}")
    every = texts()
    random.Random(3).shuffle(every)
    decided, ranked = every[:DECIDED], every[DECIDED : DECIDED + RANKED]
    judged = [judge(text, Judge(), Copied.of(())).score for text in ranked]
    missed = []
    headings = f"{'by chance':>10}{'judge':>7}{'learned':>9}{'AUC':>7}{'held out':>10}"
    print(f"{'of the first 20 approved':<28}{headings}")
    for name, likes in CURATORS.items():
        wanted = [likes(text) for text in ranked]
        begin = time.monotonic()
        draw = random.Random(7)
        learned = learn(decided, [likes(text) != (draw.random() < CHANGED) for text in decided])
        took = time.monotonic() - begin
        assert learned
        scores = learned.scores(ranked)

        def first(by: list[float], wanted: list[bool] = wanted) -> int:
            best = sorted(range(len(by)), key=lambda place: -by[place])[:FIRST]
            return sum(wanted[place] for place in best)

        chance = FIRST * sum(wanted) / len(wanted)
        print(
            f"{name:<28}{chance:10.1f}{first(judged):7}{first(scores):9}{auc(scores, wanted):7.3f}{learned.auc:10.3f}"
            f"   learned in {took:.1f} s"
        )
        if first(scores) <= max(chance, first(judged)):
            missed.append(f"{name}: no more are approved than before")
    print("\n".join(missed) or "every target is met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
