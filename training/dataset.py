"""The dataset stage: scraped documents → cleaned, deduplicated texts with a stable dev split."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mynah
from mynah.bot import Bot
from mynah.bucket import Bucket, fingerprint, new_id
from mynah.document import packing
from mynah.errors import MynahError
from training.corpus import Corpus, collect
from training.mined import TEXTS, mine
from training.near import DEV, TRAIN, compute_hashes, place
from training.recitation import write_index
from training.sides import NONE, Sides, read_sides
from training.statistics import ASKED, PLOT, plot, statistics

SPLITS = {"train": TRAIN, "dev": DEV}
# Raised when a key or a rule of cleaning changes its meaning or default, so that datasets are made anew.
VERSION = 2


@dataclass(frozen=True)
class Dataset:
    """What `build` made or found."""

    id: str
    address: str
    counts: dict[str, Any]
    skipped: bool

    def summary(self) -> str:
        counts = self.counts
        dropped = ", ".join(f"{number:,} {reason}" for reason, number in counts["dropped"].items()) or "none"
        return (
            f"{counts['documents']:,} documents → {counts['train']:,} train + {counts['dev']:,} dev texts"
            f" (left out: {dropped})\n{self.address}"
        )


def build(bot: Bot, bucket: Bucket, again: bool = False) -> Dataset:
    """Build the dataset of all that was scraped for `bot`; one made of the same inputs is found, not built.

    Raises MynahError where nothing was scraped, or nothing is left to learn from.
    """
    raw = {source: bucket.names(bot.name, "raw", source) for source in bot.sources}
    if not any(raw.values()):
        raise MynahError(f"bot {bot.name} has no documents yet: run `mynah scrape {bot.name}`")
    named = inputs(bot, raw)
    if not again:
        for id in reversed(bucket.names(bot.name, "datasets")):
            if id.endswith(fingerprint(named)) and (manifest := bucket.manifest(bot.name, "datasets", id)):
                return Dataset(id, bucket.address(bot.name, "datasets", id), manifest["counts"], skipped=True)

    last = next(bucket.manifests(bot.name, "datasets"), None)
    before = read_sides(bucket, bot.name, last["id"]) if last else NONE
    with (
        tempfile.TemporaryDirectory(prefix="mynah-corpus-") as scratch,
        tempfile.TemporaryDirectory(prefix="mynah-dataset-") as folder,
    ):
        corpus, side = assemble(bot, bucket, raw, before, Path(scratch), Path(folder))
        counts = _counts(corpus, side)
        sample = _sample(corpus, np.flatnonzero(~corpus.left_out), ASKED)
        facts = statistics(corpus, side, [*raw], sample)
        id = new_id(named)
        plot(corpus, counts, facts, f"{bot.name} {id}", Path(folder) / PLOT)
        manifest = {
            "inputs": named,
            "raw": corpus.raw,
            "sides_of": last["id"] if last else None,
            "counts": counts,
            "statistics": facts,
            "prompts": mine(_sample(corpus, np.flatnonzero(~corpus.left_out & (side == TRAIN)), TEXTS)),
            "versions": {"mynah": mynah.__version__},
        }
        bucket.publish(Path(folder), manifest, bot.name, "datasets", id)
    return Dataset(id, bucket.address(bot.name, "datasets", id), counts, skipped=False)


def assemble(
    bot: Bot, bucket: Bucket, raw: dict[str, list[str]], before: Sides, scratch: Path, folder: Path
) -> tuple[Corpus, NDArray[np.int8]]:
    """Write the files of a dataset into `folder`: both splits, the recitation index, and the sides of all texts.

    `before` are the sides of the last dataset's texts. Only one page per process is in memory at a time, and some 50
    bytes per text; all else is in files, in `scratch`. Returns the texts with their sides. Raises MynahError where
    nothing is left to learn from.
    """
    corpus = collect(bot, bucket, raw, scratch / "texts")
    for number, source in enumerate(raw):
        _cap(corpus, number, bot.sources[source].max_texts)
    similarity = bot.clean.near_duplicate_similarity
    hashes = compute_hashes(corpus, similarity, scratch)
    side = place(corpus, hashes, before, similarity, bot.clean.drop_near_duplicates, scratch)
    kept = ~corpus.left_out
    if not (kept & (side == TRAIN)).any():
        raise MynahError(
            f"bot {bot.name}: no text is left of {corpus.documents.total():,} documents ({_listed(corpus.dropped)}): "
            "loosen its clean section or add sources"
        )
    for split, which in SPLITS.items():
        with packing(folder / f"{split}.jsonl.zst") as write:
            for begin, end in corpus.chunks():
                wanted = (kept & (side == which))[begin:end].tolist()
                write(b"".join(compress(corpus.lines(begin, end), wanted)))
    write_index(folder, corpus, hashes)
    before.with_more(corpus.key[kept & (side == TRAIN)], corpus.key[kept & (side == DEV)]).write(folder)
    return corpus, side


def _cap(corpus: Corpus, source: int, most: int | None) -> None:
    """Of a source's texts, leave those with the highest hashes out: another text changes nothing about the others."""
    mine = np.flatnonzero(corpus.source == source)
    if most is not None and len(mine) > most:
        corpus.leave_out(mine[np.argsort(corpus.key[mine])[most:]], "over max_texts")


def _sample(corpus: Corpus, numbers: NDArray[np.int64], most: int) -> list[str]:
    """Some of these texts, spread evenly."""
    some = numbers[np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)]
    wanted = np.zeros(len(corpus), bool)
    wanted[some] = True
    return [
        text
        for begin, end in corpus.chunks()
        if wanted[begin:end].any()
        for text in compress(corpus.texts(begin, end), wanted[begin:end].tolist())
    ]


def _counts(corpus: Corpus, side: NDArray[np.int8]) -> dict[str, Any]:
    kept = ~corpus.left_out
    return {
        "documents": corpus.documents.total(),
        "dropped": dict(corpus.dropped),
        **{split: int((kept & (side == which)).sum()) for split, which in SPLITS.items()},
        "characters": int(corpus.characters[kept].sum()),
    }


def inputs(bot: Bot, raw: dict[str, list[str]]) -> dict[str, Any]:
    """What a dataset's id is the fingerprint of. `raw` are the names of the raw objects by source.

    Keys at their default are left out, so that a key which is new tomorrow leaves today's datasets as they are.
    """
    caps = {source: section.max_texts for source, section in bot.sources.items() if section.max_texts is not None}
    return {
        "version": VERSION,
        "raw": raw,
        **({"max_texts": caps} if caps else {}),
        "clean": bot.clean.model_dump(exclude_defaults=True),
        **bot.train.model_dump(include={"dev_fraction"}, exclude_defaults=True),
    }


def _listed(dropped: Counter[str]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in dropped.items())
