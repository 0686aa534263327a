"""Writes the recitation index of a dataset: see mynah.recitation for what is in it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mynah.recitation import FILE, HEADER, VERSION
from training.corpus import Corpus
from training.near import Hashes

AT_ONCE = 1 << 22  # numbers that are in memory at a time, 32 MB


def write_index(folder: Path, corpus: Corpus, hashes: Hashes) -> None:
    """Write the index of the corpus's texts that are not left out. Reorders the runs of `hashes` in their file."""
    kept = np.flatnonzero(~corpus.left_out)
    sections: dict[str, list[int]] = {}
    with (folder / FILE).open("w+b") as file:
        file.seek(HEADER)

        def section(name: str, parts: Iterator[NDArray[np.generic]]) -> None:
            begin = file.seek(-file.tell() % 8, 1)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
            sections[name] = [begin, file.tell() - begin]

        section("whole", iter([np.unique(corpus.key[kept])]))
        section("runs", _sorted_runs(corpus, hashes))
        orders = [np.argsort(band[kept], kind="stable") for band in hashes.index_bands]
        section("bands", (band[kept][order] for band, order in zip(hashes.index_bands, orders, strict=True)))
        section("texts", (order.astype(np.uint32) for order in orders))
        section(
            "signatures",
            (hashes.signatures[kept[place : place + AT_ONCE // 64]] for place in range(0, len(kept), AT_ONCE // 64)),
        )
        header = {"version": VERSION, "byteorder": sys.byteorder, "texts": len(kept), "sections": sections}
        file.seek(0)
        file.write(json.dumps(header).encode().ljust(HEADER))


def _sorted_runs(corpus: Corpus, hashes: Hashes) -> Iterator[NDArray[np.uint64]]:
    """The runs of all texts that are kept, each once, sorted. They are moved and sorted in their file."""
    runs, end = hashes.runs, 0
    for first, last in corpus.chunks():
        begin = int(hashes.run_ends[first - 1]) if first else 0
        counts = np.diff(hashes.run_ends[first:last], prepend=begin)
        mine = runs[begin : int(hashes.run_ends[last - 1])][np.repeat(~corpus.left_out[first:last], counts)]
        runs[end : end + len(mine)] = mine
        end += len(mine)
    runs[:end].sort()
    before = None
    for place in range(0, end, AT_ONCE):
        part = np.unique(runs[place : min(place + AT_ONCE, end)])
        yield part[1:] if before is not None and part[0] == before else part
        before = part[-1]
