"""How well the sentiment of texts is told, by language: `make bench PART=sentiment`.

Tweets with labels, 2,000 a language, as `label<tab>text` under a line of headings. Nothing is trained on them.

    en   rated by 20 people each; a mean of at least 0.5 is positive, at most -0.5 negative. By VADER's authors (MIT):
         github.com/cjhutto/vaderSentiment, tweets_GroundTruth.txt in additional_resources/hutto_ICWSM_2014.tar.gz
    ru   RuSentiTweet, without a licence: github.com/sismetanin/rusentitweet, rusentitweet_full.csv

The rules and bands of serving.tweets were chosen on the texts at even places, counted from 0. The figures that count
are of those at odd places; both halves together are printed too.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from serving.tweets.sentiment import MEASURED, sentiment

DATA = Path(__file__).parents[3] / "shared/data/labels"
LABELS = ("negative", "neutral", "positive")
Labelled = Sequence[tuple[str, str]]  # label, text


def labelled(language: str) -> Labelled:
    """The labelled texts of a language, from a table with quotation marks as in CSV."""
    rows = (DATA / f"sentiment-{language}.tsv").read_text("utf-8").splitlines()[1:]
    found = [tuple(row.split("\t", 1)) for row in rows]
    return [(label, text[1:-1].replace('""', '"') if text[:1] == text[-1:] == '"' else text) for label, text in found]


def accuracy(rows: Labelled, told: Sequence[str]) -> float:
    return sum(label == each for (label, _), each in zip(rows, told, strict=True)) / len(rows)


def macro_f1(rows: Labelled, told: Sequence[str]) -> float:
    """The mean of the three labels' F1, so that a rare label counts as much as a frequent one."""
    pairs = [(label, each) for (label, _), each in zip(rows, told, strict=True)]
    total = 0.0
    for label in LABELS:
        right = pairs.count((label, label))
        wrong = sum((label in pair) for pair in pairs) - right
        total += 2 * right / (2 * right + wrong) if right else 0.0
    return total / len(LABELS)


def contestants(language: str, rows: Labelled) -> dict[str, Callable[[str], str]]:
    labels = [label for label, _ in rows]
    commonest = max(LABELS, key=labels.count)
    vader = SentimentIntensityAnalyzer()

    def as_it_comes(text: str) -> str:
        compound = vader.polarity_scores(text)["compound"]
        return "positive" if compound >= 0.05 else "negative" if compound <= -0.05 else "neutral"

    return {
        "mynah": lambda text: sentiment(text, language),
        "VADER": as_it_comes,
        f"always {commonest}": lambda _: commonest,
    }


def main() -> None:
    """Print the tables; exit 1 where ours is below VADER's macro-F1."""
    if not DATA.is_dir():
        sys.exit(f"the labelled texts are missing in {DATA}: this module's docstring says where they come from")
    missed = []
    for language in sorted(MEASURED):
        rows = labelled(language)
        print(f"{language}: {len(rows)} texts       odd places           all")
        print(f"{'':22}accuracy  macro-F1   accuracy  macro-F1")
        scores = {}
        for name, tell in contestants(language, rows).items():
            told = [tell(text) for _, text in rows]
            odd = accuracy(rows[1::2], told[1::2]), macro_f1(rows[1::2], told[1::2])
            every = accuracy(rows, told), macro_f1(rows, told)
            scores[name] = odd[1]
            print(f"  {name:<20}   {odd[0]:.3f}     {odd[1]:.3f}      {every[0]:.3f}     {every[1]:.3f}")
        if scores["mynah"] < scores["VADER"]:
            missed.append(f"{language}: macro-F1 is below VADER's")
    print("\n".join(missed) or "every target is met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
