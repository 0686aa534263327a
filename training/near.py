"""Texts that are nearly the same: found by MinHash, verified by what they share, and kept on one side of the split.

Texts are placed one after the other: those that the last dataset had on the train side, those it had on the dev side,
then the new ones as they came. Each is compared with the texts that were placed before it and share a band with it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mynah.progress import track
from mynah.recitation import BANDS, ROWS
from mynah.text import same_text_key, words
from training.corpus import CHUNK, Corpus, texts_at
from training.minhash import band_hashes, rows_for, run_hashes, shingle_sets, signatures
from training.parallel import in_order
from training.sides import Sides, among

TRAIN, DEV, NOT_YET = 0, 1, -1
SHORT = 64  # bytes of a signature, which tells how near a text may be before its shingles do
SURE = 5  # standard errors of such an estimate
HEADS = 4  # texts of a group that are asked first

U32 = NDArray[np.uint32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Hashes:
    """Of every text of a corpus, in files that are mapped into memory."""

    bands: U32
    """A row for each band of the search for near texts."""
    signatures: NDArray[np.uint8]
    """SHORT bytes for each text."""
    shingles: U32
    """The hashes of the shingles of all texts, each once in a text and in order, one text after the other."""
    shingle_ends: Numbers
    """Where those of each text end."""
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
    bands = _mapped(folder / "bands", np.uint32, (_hash_texts(rows, []).bands.shape[1], count))
    index_bands = _mapped(folder / "index-bands", np.uint32, (BANDS, count))
    signed = _mapped(folder / "signatures", np.uint8, (count, SHORT))
    run_counts, shingle_counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    chunks = list(corpus.chunks())
    work = partial(_hash_place, rows, corpus.file)
    places = (corpus.place(*chunk) for chunk in chunks)
    with (folder / "runs").open("wb") as run_file, (folder / "shingles").open("wb") as shingle_file:
        hashed = track(in_order(work, places, processes), "comparing", len(chunks))
        for (begin, end), of in zip(chunks, hashed, strict=True):
            bands[:, begin:end] = of.bands.T
            index_bands[:, begin:end] = of.index_bands.T
            signed[begin:end] = of.signatures
            of.shingles.tofile(shingle_file)
            shingle_counts.append(of.shingle_ends)
            of.runs.tofile(run_file)
            run_counts.append(of.run_ends)
    run_ends, shingle_ends = (np.cumsum(np.concatenate(counts)) for counts in (run_counts, shingle_counts))
    runs = _mapped(folder / "runs", np.uint64, (int(run_ends[-1]) if count else 0,), "r+")
    shingles = _mapped(folder / "shingles", np.uint32, (int(shingle_ends[-1]) if count else 0,), "r+")
    return Hashes(bands, signed, shingles, shingle_ends, index_bands, runs, run_ends)


def _hash_place(rows: int, file: Path, place: tuple[int, int]) -> Hashes:
    return _hash_texts(rows, texts_at(file, place))


def _hash_texts(rows: int, texts: list[str]) -> Hashes:
    """The hashes of some texts; of bands, a row for each text, and instead of where its own end, how many it has."""
    keys = [same_text_key(text) for text in texts]
    values = signatures(keys)
    few = values[:, : BANDS * ROWS]
    runs, run_counts = run_hashes([words(text) for text in texts])
    sets, counts = shingle_sets(keys)
    return Hashes(
        band_hashes(values, rows), few.astype(np.uint8), sets, counts, band_hashes(few, ROWS), runs, run_counts
    )


def _mapped(
    path: Path, form: type[np.generic], shape: tuple[int, ...], mode: Literal["w+", "r+"] = "w+"
) -> NDArray[Any]:
    """An array in a file; of none, one in memory, because nothing cannot be mapped."""
    # Slices of a plain array are ten times as fast as those of a memmap.
    return np.asarray(np.memmap(path, form, mode, shape=shape)) if np.prod(shape) else np.empty(shape, form)


def place(
    corpus: Corpus, hashes: Hashes, before: Sides, similarity: float, drop: bool, folder: Path
) -> NDArray[np.int8]:
    """The side of each text of the corpus that is not left out. Leaves out what cannot stay. `folder` is for files.

    `drop`: of near texts, the first placed stays. Either way none is near a text on the other side.
    """
    known_train, known_dev = among(corpus.key, before.train), among(corpus.key, before.dev)
    side = np.where(known_train, TRAIN, np.where(known_dev, DEV, corpus.dev)).astype(np.int8)
    rank = np.where(known_train, 0, np.where(known_dev, 1, 2))
    here = np.flatnonzero(~corpus.left_out)
    here = here[np.argsort(rank[here], kind="stable")]
    placed = _Placed(corpus, hashes, here, similarity, folder)
    placed.put(here[~placed.follows[here]], side)
    near: list[int] = []
    between: list[int] = []
    for number in here[placed.follows[here]].tolist():
        if drop:
            if placed.any_near(number, TRAIN) or placed.any_near(number, DEV):
                near.append(number)
                continue
        elif not known_train[number]:  # what is known to be train comes before all that is dev
            by_train = placed.any_near(number, TRAIN)
            by_dev = not known_dev[number] and placed.any_near(number, DEV)
            if by_train and (by_dev or known_dev[number]):
                between.append(number)
                continue
            if by_train or by_dev:
                side[number] = TRAIN if by_train else DEV
        placed.put(np.array([number]), side)
    corpus.leave_out(np.array(near, np.int64), "near-duplicate")
    corpus.leave_out(np.array(between, np.int64), "near both sides")
    return side


class _Placed:
    """The texts that were placed so far, asked whether a text is near any of them.

    Texts that share a band are a group. Of each band, the texts are sorted by group, and in a group as they are placed.
    """

    def __init__(self, corpus: Corpus, hashes: Hashes, here: Numbers, similarity: float, folder: Path) -> None:
        bands, count = hashes.bands.shape
        self._signatures = hashes.signatures
        self._shingles = hashes.shingles
        self._ends = np.append(0, hashes.shingle_ends)
        """Where the shingles of text n begin, at n, and end, at n + 1."""
        self._similarity = similarity
        self._promising = SHORT * (similarity - SURE * (similarity * (1 - similarity) / SHORT) ** 0.5)
        self._bands = np.arange(bands)
        self._side = np.full(count, NOT_YET, np.int8)
        self._members = _mapped(folder / "members", np.int32, (bands, len(here)))
        self._begin = _mapped(folder / "begin", np.int32, (count, bands))
        """Of each text and band, where its group begins."""
        self._own = _mapped(folder / "own", np.int32, (count, bands))
        """Where the text itself stands."""
        self._some = np.zeros((2, bands, len(here)), bool)
        """Whether a text of a side was placed in the group that begins there."""
        for band, row in enumerate(hashes.bands):
            mine = row[here]
            order = np.argsort(mine, kind="stable")
            ordered = mine[order]
            first = np.ones(len(here), bool)
            first[1:] = ordered[1:] != ordered[:-1]
            places = np.arange(len(here), dtype=np.int32)
            self._members[band] = here[order]
            self._own[here[order], band] = places
            self._begin[here[order], band] = np.maximum.accumulate(np.where(first, places, 0))
        self.follows = np.zeros(count, bool)
        """Which texts have others before them in a group."""
        for begin, end in corpus.chunks():
            self.follows[begin:end] = (self._own[begin:end] > self._begin[begin:end]).any(axis=1)
        self.follows[corpus.left_out] = False

    def put(self, numbers: Numbers, side: NDArray[np.int8]) -> None:
        """Place texts on their sides. Those that nothing comes before may be placed before their time."""
        for some in np.split(numbers, range(CHUNK, len(numbers), CHUNK)):
            self._side[some] = side[some]
            self._some[side[some, None], self._bands, self._begin[some]] = True

    def any_near(self, number: int, side: int) -> bool:
        """Whether a text is near any that was placed on this side before it."""
        begin, own = self._begin[number], self._own[number]
        groups = np.flatnonzero((own > begin) & self._some[side, self._bands, begin])
        spans = list(zip(groups.tolist(), begin[groups].tolist(), own[groups].tolist(), strict=True))
        # Of many texts that are all nearly the same, the first ones say it.
        heads = [self._members[band, first : min(first + HEADS, last)] for band, first, last in spans]
        if self._any_of(number, side, heads):
            return True
        rest = [self._members[band, first + HEADS : last] for band, first, last in spans if last > first + HEADS]
        return self._any_of(number, side, rest)

    def _any_of(self, number: int, side: int, parts: list[NDArray[Any]]) -> bool:
        """Only what a signature does not rule out is compared."""
        if not parts:
            return False
        some = np.concatenate(parts)
        some = some[self._side[some] == side]
        alike = np.count_nonzero(self._signatures[some] == self._signatures[number], axis=1)
        some = np.unique(some[alike >= self._promising])
        if not len(some):
            return False
        own = self._shingles[self._ends[number] : self._ends[number + 1]]
        counts = self._ends[some + 1] - self._ends[some]
        starts = np.cumsum(counts) - counts
        theirs = self._shingles[np.repeat(self._ends[some] - starts, counts) + np.arange(counts.sum())]
        shared = own[np.minimum(np.searchsorted(own, theirs), len(own) - 1)] == theirs
        both = np.add.reduceat(shared, starts, dtype=np.int64)
        return bool(np.any(both / (len(own) + counts - both) >= self._similarity))
