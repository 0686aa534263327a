"""What is in a dataset, in numbers for its manifest and in a picture beside it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mynah.language import likeliest
from training.corpus import Corpus

PLOT = "dataset.png"
QUANTILES = (0, 5, 25, 50, 75, 95, 100)  # percent
ASKED = 500  # texts whose language is told, spread evenly
SHOWN = 12  # bars of a panel, at the most


def statistics(corpus: Corpus, side: NDArray[np.int8], sources: Sequence[str], sample: Sequence[str]) -> dict[str, Any]:
    """Lengths by quantiles, languages of a sample, and what became of each source's documents."""
    kept = ~corpus.left_out
    split = {
        name: np.bincount(corpus.source[kept & (side == which)], minlength=len(sources))
        for which, name in enumerate(("train", "dev"))
    }
    return {
        "sources": {
            source: {
                "documents": corpus.documents[source],
                "train": int(split["train"][number]),
                "dev": int(split["dev"][number]),
            }
            for number, source in enumerate(sources)
        },
        "words": _quantiles(corpus.words[kept]),
        "characters": _quantiles(corpus.characters[kept]),
        "languages": {"texts": len(sample), **_languages(sample)},
        "changed": dict(corpus.changed),
    }


def _quantiles(numbers: NDArray[np.int32]) -> dict[str, int]:
    return {
        f"{percent}%": int(number) for percent, number in zip(QUANTILES, np.percentile(numbers, QUANTILES), strict=True)
    }


def _languages(texts: Sequence[str]) -> dict[str, int]:
    """How many are in which language; those that could be any are of none."""
    return dict(Counter(likeliest(text) or "unsure" for text in texts).most_common())


def plot(corpus: Corpus, counts: dict[str, Any], facts: dict[str, Any], title: str, file: Path) -> None:
    """Draw a dataset to the PNG `file`: lengths, languages, sources, and what was left out."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ((lengths, languages), (sources, dropped)) = plt.subplots(
        2, 2, figsize=(11, 7), layout="constrained", dpi=120
    )
    figure.suptitle(title)
    words = corpus.words[~corpus.left_out]
    lengths.hist(
        words,
        bins=np.arange(0.5, min(int(words.max()), 4 * int(np.percentile(words, 75)) + 10) + 1.5),
        color="tab:blue",
    )
    lengths.set(title="lengths", xlabel="words per text", ylabel="texts")
    spoken = {name: number for name, number in facts["languages"].items() if name != "texts"}
    _bars(languages, spoken, f"languages of {facts['languages']['texts']} texts")
    by_source = {name: of["train"] + of["dev"] for name, of in facts["sources"].items()}
    _bars(sources, by_source, "texts by source")
    _bars(
        dropped,
        {"train": counts["train"], "dev": counts["dev"], **counts["dropped"]},
        f"what became of {counts['documents']:,} documents",
    )
    for axes in (lengths, languages, sources, dropped):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
    plt.close(figure)


def _bars(axes: Any, numbers: dict[str, int], title: str) -> None:
    """Horizontal bars, the largest above; what is too much is one bar."""
    ranked = sorted(numbers.items(), key=lambda each: -each[1])
    if rest := ranked[SHOWN:]:
        ranked = [*ranked[:SHOWN], (f"{len(rest)} others", sum(number for _, number in rest))]
    bars = axes.barh(
        [name for name, _ in reversed(ranked)], [number for _, number in reversed(ranked)], color="tab:blue"
    )
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.margins(x=0.15)
    axes.set_title(title)
