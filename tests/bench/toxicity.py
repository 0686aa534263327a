"""How well coarse texts are told, by language: `make bench PART=toxicity`.

Texts with labels, 2,000 a language, as `label<tab>text` under a line of headings. Nothing is trained on them.

    en   tweets: hate, offensive, neither. By Davidson and others (2017, MIT):
         github.com/t-davidson/hate-speech-and-offensive-language, data/labeled_data.csv
    ru   toxic comments and their neutral rewritings, without a licence: github.com/s-nlp/russe_detox_2022, train.tsv

The thresholds of mynah.toxicity were chosen on the texts at even places, counted from 0. The figures that count are of
those at odd places. Names of people and places, most of them such as filters stumble over, are in
tests/mynah/names.txt; the lists were written with some of them in mind.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from mynah.toxicity import MEASURED, Language, toxicity

DATA = Path(__file__).parents[3] / "shared/data/labels"
NAMES = Path(__file__).parents[1] / "mynah/names.txt"
CLEAN = ("neither", "neutral")
PRECISION = 0.98  # the target


def labelled(language: Language) -> list[tuple[bool, str]]:
    """Whether each text is labelled as coarse."""
    rows = (DATA / f"toxicity-{language}.tsv").read_text("utf-8").splitlines()[1:]
    return [(label not in CLEAN, text) for label, text in (row.split("\t", 1) for row in rows)]


def names() -> list[str]:
    return [line for line in NAMES.read_text("utf-8").splitlines() if not line.startswith("#")]


def figures(rows: Sequence[tuple[bool, str]], language: Language) -> tuple[float, float, float]:
    """Precision, recall, and the share of the clean texts that are taken for coarse ones."""
    told = [(coarse, toxicity(text, [language]).toxicity >= MEASURED[language]) for coarse, text in rows]
    right, wrong = told.count((True, True)), told.count((False, True))
    coarse = sum(label for label, _ in rows)
    return right / (right + wrong), right / coarse, wrong / (len(rows) - coarse)


def main() -> None:
    """Print the table; exit 1 where the precision is below the target."""
    if not DATA.is_dir():
        sys.exit(f"the labelled texts are missing in {DATA}: this module's docstring says where they come from")
    print(f"{'':18}precision  recall  clean texts taken for coarse")
    missed = []
    for language in MEASURED:
        rows = labelled(language)
        for half, some in (("odd places", rows[1::2]), ("all", rows)):
            precision, recall, false = figures(some, language)
            print(f"{language} {half:<14} {precision:9.3f}  {recall:6.3f}  {false:.3f}")
            if half == "odd places" and precision < PRECISION:
                missed.append(f"{language}: the precision is below {PRECISION}")
    taken = [name for name in names() if toxicity(name, list(MEASURED)).toxicity >= min(MEASURED.values())]
    print(f"names: {len(taken)} of {len(names())} are taken for coarse words: {', '.join(taken)}")
    print("\n".join(missed) or "every target is met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
