"""Texts that are nearly the same: found by MinHash, verified by what they share, and kept on one side of the split.

Texts are placed one after the other: those that the last dataset had on the train side, those it had on the dev side,
then the new ones as they came. Each is compared with the texts that were placed before it and share a band with it.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mynah.progress import track
from mynah.recitation import BANDS, ROWS, jaccard, shingles
from mynah.text import same_text_key, words
from training.corpus import Corpus, texts_at
from training.minhash import band_hashes, rows_for, run_hashes, signatures
from training.parallel import in_order
from training.sides import Sides, among

TRAIN, DEV = 0, 1
SHORT = 64  # bytes of a signature, which tells how near a text may be before its shingles do
SURE = 5  # standard errors of such an estimate
HELD = 4096  # texts whose shingles are held, 10 KB each

U32 = NDArray[np.uint32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Hashes:
    """Of every text of a corpus, in files that are mapped into memory."""

    bands: U32
    """A row for each band of the search for near texts."""
    signatures: NDArray[np.uint8]
    """SHORT bytes for each text."""
    index_bands: U32
    """A row for each band of the recitation index."""
    runs: NDArray[np.uint64]
    """The hashes of the runs of words of all texts, one after the other."""
    run_ends: Numbers
    """Where those of each text end."""


def compute_hashes(corpus: Corpus, similarity: float, folder: Path, processes: int | None = None) -> Hashes:
    """The hashes of a corpus's texts, in files in `folder`. Near texts have this share of their shingles in both."""
    rows = rows_for(similarity)
    count = len(corpus)
    bands = _mapped(folder / "bands", np.uint32, (len(_hash_texts(rows, [])[0].T), count))
    index_bands = _mapped(folder / "index-bands", np.uint32, (BANDS, count))
    signed = _mapped(folder / "signatures", np.uint8, (count, SHORT))
    run_counts = [np.empty(0, np.int64)]
    chunks = list(corpus.chunks())
    work = partial(_hash_place, rows, corpus.file)
    places = (corpus.place(*chunk) for chunk in chunks)
    with (folder / "runs").open("wb") as file:
        hashed = track(in_order(work, places, processes), "comparing", len(chunks))
        for (begin, end), (of_bands, of_index, of_texts, runs, counts) in zip(chunks, hashed, strict=True):
            bands[:, begin:end] = of_bands.T
            index_bands[:, begin:end] = of_index.T
            signed[begin:end] = of_texts
            runs.tofile(file)
            run_counts.append(counts)
    run_ends = np.cumsum(np.concatenate(run_counts))
    whole = _mapped(folder / "runs", np.uint64, (int(run_ends[-1]) if count else 0,), "r+")
    return Hashes(bands, signed, index_bands, whole, run_ends)


_Hashed = tuple[U32, U32, NDArray[np.uint8], NDArray[np.uint64], Numbers]


def _hash_place(rows: int, file: Path, place: tuple[int, int]) -> _Hashed:
    return _hash_texts(rows, texts_at(file, place))


def _hash_texts(rows: int, texts: list[str]) -> _Hashed:
    values = signatures([same_text_key(text) for text in texts])
    few = values[:, : BANDS * ROWS]
    runs, counts = run_hashes([words(text) for text in texts])
    return band_hashes(values, rows), band_hashes(few, ROWS), few.astype(np.uint8), runs, counts


def _mapped(
    path: Path, form: type[np.generic], shape: tuple[int, ...], mode: Literal["w+", "r+"] = "w+"
) -> NDArray[Any]:
    """An array in a file; of none, one in memory, because nothing cannot be mapped."""
    return np.memmap(path, form, mode, shape=shape) if np.prod(shape) else np.empty(shape, form)


def place(corpus: Corpus, hashes: Hashes, before: Sides, similarity: float, drop: bool) -> NDArray[np.int8]:
    """The side of each text of the corpus that is not left out. Leaves out what cannot stay.

    `drop`: of near texts, the first placed stays. Either way none is near a text on the other side.
    """
    known_train, known_dev = among(corpus.key, before.train), among(corpus.key, before.dev)
    side = np.where(known_train, TRAIN, np.where(known_dev, DEV, corpus.dev)).astype(np.int8)
    rank = np.where(known_train, 0, np.where(known_dev, 1, 2))
    here = np.flatnonzero(~corpus.left_out)
    groups = _groups(hashes.bands, here)
    compare = _Compare(corpus, hashes.signatures, similarity)
    placed: tuple[dict[int, list[int]], dict[int, list[int]]] = (defaultdict(list), defaultdict(list))
    near: list[int] = []
    between: list[int] = []
    for number in here[np.argsort(rank[here], kind="stable")].tolist():
        if not (mine := groups(number)):
            continue
        own = int(side[number])
        known = rank[number] < 2
        if drop and compare.any_near(number, mine, placed[TRAIN], placed[DEV]):
            near.append(number)
            continue
        if not drop and not (known and own == TRAIN):  # a known train text comes before all dev texts
            by_train = compare.any_near(number, mine, placed[TRAIN])
            by_dev = not known and compare.any_near(number, mine, placed[DEV])
            if by_train and (by_dev or known):
                between.append(number)
                continue
            if by_train or by_dev:
                own = TRAIN if by_train else DEV
                side[number] = own
        for group in mine:
            placed[own][group].append(number)
    corpus.leave_out(np.array(near, np.int64), "near-duplicate")
    corpus.leave_out(np.array(between, np.int64), "near both sides")
    return side


def _groups(bands: U32, here: Numbers) -> Callable[[int], list[int]]:
    """Which groups a text is in: a group is of two texts or more that share a band."""
    members, names = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    count = 0
    for band in bands:
        hashes = np.asarray(band)[here]
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        begins = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, bool)
        of = np.cumsum(begins) - 1
        shared = np.bincount(of)[of] > 1 if len(of) else np.empty(0, bool)
        members.append(here[order[shared]])
        names.append(count + of[shared])
        count += len(here)
    all_members, all_names = np.concatenate(members), np.concatenate(names)
    order = np.argsort(all_members, kind="stable")
    all_members, all_names = all_members[order], all_names[order]
    places = np.searchsorted(all_members, np.arange(bands.shape[1] + 1))

    def groups(number: int) -> list[int]:
        found: list[int] = all_names[places[number] : places[number + 1]].tolist()
        return found

    return groups


class _Compare:
    """Compares texts of a corpus. What is true of two texts does not depend on which others there are."""

    def __init__(self, corpus: Corpus, signatures: NDArray[np.uint8], similarity: float) -> None:
        self._corpus = corpus
        self._signatures = signatures
        self._similarity = similarity
        self._promising = SHORT * (similarity - SURE * (similarity * (1 - similarity) / SHORT) ** 0.5)
        self._shingles = functools.lru_cache(HELD)(self._read_shingles)

    def any_near(self, number: int, groups: Iterable[int], *placed: dict[int, list[int]]) -> bool:
        """Whether a text is near any of those that are placed in its groups."""
        lists = [found for where in placed for group in groups if (found := where.get(group))]
        if not lists:
            return False
        # Of many texts that are all nearly the same, the first one says it.
        firsts = {found[0] for found in lists}
        if self._any_of(number, firsts):
            return True
        others = {one for found in lists for one in found} - firsts
        return bool(others) and self._any_of(number, others)

    def _any_of(self, number: int, candidates: set[int]) -> bool:
        """Only what a signature does not rule out is read."""
        some = np.fromiter(candidates, np.int64, len(candidates))
        alike = np.count_nonzero(self._signatures[some] == self._signatures[number], axis=1)
        return any(
            jaccard(self._shingles(number), self._shingles(one)) >= self._similarity
            for one in np.sort(some[alike >= self._promising]).tolist()
        )

    def _read_shingles(self, number: int) -> set[str]:
        (text,) = self._corpus.texts(number, number + 1)
        return shingles(same_text_key(text))
