"""The dataset stage: scraped documents → cleaned, deduplicated texts with a stable dev split."""

import hashlib
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mynah
from mynah.bot import Bot
from mynah.bucket import Bucket, fingerprint, new_id
from mynah.cleaning import cleaning
from mynah.document import Document, pack, unpack
from mynah.errors import MynahError
from mynah.text import same_text_key

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

    documents = 0
    clean = cleaning(bot.clean)
    dropped: Counter[str] = Counter()
    seen: set[str] = set()
    splits: dict[str, list[Document]] = {"train": [], "dev": []}
    for source, names in raw.items():
        for name in names:
            for document in unpack(bucket.read(bot.name, "raw", source, name)):
                documents += 1
                cleaned = clean(document)
                text, reason = cleaned.text, cleaned.reason
                key = same_text_key(text)
                if reason is None and key in seen:
                    reason = "duplicate"
                if reason:
                    dropped[reason] += 1
                    continue
                seen.add(key)
                splits[split_of(key, bot.train.dev_fraction)].append(Document(id=document.id, text=text))
    counts = {"documents": documents, "dropped": dict(dropped), **{name: len(rows) for name, rows in splits.items()}}
    if not splits["train"]:
        raise MynahError(
            f"bot {bot.name}: no text is left of {documents:,} documents ({_listed(dropped)}): "
            "loosen its clean section or add sources"
        )
    counts["characters"] = sum(len(row.text) for rows in splits.values() for row in rows)

    id = new_id(named)
    with tempfile.TemporaryDirectory(prefix="mynah-dataset-") as folder:
        for split, rows in splits.items():
            (Path(folder) / f"{split}.jsonl.zst").write_bytes(pack(rows))
        manifest = {"inputs": named, "counts": counts, "versions": {"mynah": mynah.__version__}}
        bucket.publish(Path(folder), manifest, bot.name, "datasets", id)
    return Dataset(id, bucket.address(bot.name, "datasets", id), counts, skipped=False)


def inputs(bot: Bot, raw: dict[str, list[str]]) -> dict[str, Any]:
    """What a dataset's id is the fingerprint of. `raw` are the names of the raw objects by source.

    Keys at their default are left out, so that a key which is new tomorrow leaves today's datasets as they are.
    """
    return {
        "version": VERSION,
        "raw": raw,
        "clean": bot.clean.model_dump(exclude_defaults=True),
        **bot.train.model_dump(include={"dev_fraction"}, exclude_defaults=True),
    }


def split_of(key: str, dev_fraction: float) -> str:
    """Which side a text is on, by its hash: it never changes sides, whatever else comes or goes."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    return "dev" if place < dev_fraction else "train"


def _listed(dropped: Counter[str]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in dropped.items())
