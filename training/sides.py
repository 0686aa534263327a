"""Which side of the split a text is on. It never changes sides, whatever else comes or goes.

A new text is put on a side by its hash, or follows the texts that are nearly the same. Where each one stands is kept in
the dataset's folder and handed on from dataset to dataset, also for texts that a dataset lacks: they may come back.

    sides.bin    a line of JSON, then the sorted hashes of the train texts, and those of the dev texts
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mynah.bucket import Bucket
from mynah.document import unpack
from mynah.recitation import text_hash

FILE = "sides.bin"
U64 = NDArray[np.uint64]


def split_of(key: str, dev_fraction: float) -> str:
    """Which side a text is put on by its hash, the one of the same text by its `same_text_key`."""
    place = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return "dev" if place < dev_fraction else "train"


@dataclass(frozen=True)
class Sides:
    """The hashes of the texts on either side, sorted."""

    train: U64
    dev: U64

    def with_more(self, train: U64, dev: U64) -> "Sides":
        return Sides(np.union1d(self.train, train), np.union1d(self.dev, dev))

    def write(self, folder: Path) -> None:
        header = {"byteorder": sys.byteorder, "train": len(self.train), "dev": len(self.dev)}
        with (folder / FILE).open("wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            self.train.tofile(file)
            self.dev.tofile(file)


NONE = Sides(np.empty(0, np.uint64), np.empty(0, np.uint64))


def read_sides(bucket: Bucket, bot: str, dataset: str) -> Sides:
    """The sides of a dataset and of those before it; of one that keeps none, of its own texts."""
    try:
        header, _, numbers = bucket.read(bot, "datasets", dataset, FILE).partition(b"\n")
    except FileNotFoundError:
        train, dev = (
            np.unique(np.fromiter((text_hash(document.text) for document in unpack(data)), np.uint64))
            for split in ("train", "dev")
            for data in [bucket.read(bot, "datasets", dataset, f"{split}.jsonl.zst")]
        )
        return Sides(train, dev)
    facts = json.loads(header)
    hashes = np.frombuffer(numbers, np.dtype(np.uint64).newbyteorder(facts["byteorder"])).astype(np.uint64)
    return Sides(hashes[: facts["train"]], hashes[facts["train"] :])


def among(numbers: U64, sorted_numbers: U64) -> NDArray[np.bool_]:
    """Which of `numbers` are in the others, which are sorted."""
    if not len(sorted_numbers):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)
    found: NDArray[np.bool_] = sorted_numbers[places] == numbers
    return found
