"""Article extraction on ../shared/data/articles, 60 pages of the article extraction benchmark by Scrapinghub.

Scored as there: precision and recall of a page are those of its runs of four words, counted as often as they occur; of
all pages, their means; F1 is made of these two means. No rules of a site are used. Contestants take turns page by page.
Target: none of the three below those of trafilatura's own defaults.
"""

import gzip
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trafilatura

from mynah.bot.sources.article import ArticleSource
from scrapers.charset import decode
from scrapers.extract import read_article

DATA = Path(__file__).parents[3] / "shared/data/articles"
OURS, THEIRS = "mynah", "trafilatura's defaults"
ROUNDS = 3
RUN = 4  # words
SOURCE = ArticleSource(kind="article", pages=["https://any.example/"])
CONTESTANTS: dict[str, Callable[[bytes], str]] = {
    OURS: lambda page: "\n".join(read_article(decode(page), SOURCE).texts),
    THEIRS: lambda page: trafilatura.extract(page) or "",
    "trafilatura, no comments": lambda page: trafilatura.extract(page, include_comments=False) or "",
}


@dataclass
class Result:
    """What one contestant did."""

    precisions: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def scores(self) -> dict[str, float]:
        precision, recall = statistics.mean(self.precisions), statistics.mean(self.recalls)
        return {"precision": precision, "recall": recall, "F1": 2 * precision * recall / (precision + recall)}


def measure() -> list[str]:
    """Print the table; what is below trafilatura's defaults."""
    if not DATA.is_dir():
        return ["needs the data folder ../shared beside the repository"]
    gold = {key: page["articleBody"] for key, page in json.loads((DATA / "ground-truth.json").read_text()).items()}
    results = {name: Result() for name in CONTESTANTS}
    for turn in range(ROUNDS):
        for key, wanted in gold.items():
            page = gzip.decompress((DATA / "html" / f"{key}.html.gz").read_bytes())
            for name, extract in CONTESTANTS.items():
                begin = time.perf_counter()
                found = extract(page)
                results[name].seconds += time.perf_counter() - begin
                if turn == 0:
                    score(wanted, found, results[name])
    theirs = results[THEIRS]
    for name, result in results.items():
        shown = "".join(f"  {what} {value:.4f}" for what, value in result.scores.items())
        ratio = result.scores["F1"] / theirs.scores["F1"]
        speed = f"{ROUNDS * len(gold) / result.seconds:5.1f} pages/s, {theirs.seconds / result.seconds:.2f} ×"
        print(f"  {name:<26}{shown}, {ratio:.3f} ×  {speed}")
    ours = results[OURS].scores
    return [f"{what} is below {THEIRS}" for what, value in theirs.scores.items() if ours[what] < value]


def score(wanted: str, found: str, result: Result) -> None:
    """Add one page's precision and recall; a page where nothing was found has no precision."""
    right, got = runs(wanted), runs(found)
    both = (right & got).total()
    if got:
        result.precisions.append(both / got.total())
    if right:
        result.recalls.append(both / right.total())


def runs(text: str) -> Counter[tuple[str, ...]]:
    """The runs of four words of a text; a shorter text is one run."""
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[start : start + RUN]) for start in range(max(1, len(words) - RUN + 1)) if words)
