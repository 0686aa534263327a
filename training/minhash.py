"""MinHash of many texts at once: what mynah.recitation says of one text, by numpy.

Measured on a million short texts, it is as fast as the compiled libraries of the field once their banding is counted
in, and its numbers are those that plain Python makes of a single text.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mynah.recitation import FACTOR, RUN, SHINGLE, permutations, word_hash

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
PERMUTATIONS = 128
AT_ONCE = 512  # texts: what is computed for them stays in a processor's cache
MISSED = 1e-6  # of pairs that are just as near as wanted, at the most


def rows_for(similarity: float) -> int:
    """How many of the PERMUTATIONS make a band, so that of near texts next to none share no band."""
    rows = 8
    while rows > 1 and (1 - similarity**rows) ** (PERMUTATIONS // rows) > MISSED:
        rows -= 1
    return rows


def signatures(keys: Sequence[str]) -> U32:
    """The MinHash values of texts, by their `same_text_key`: a row of PERMUTATIONS numbers each."""
    found = np.empty((len(keys), PERMUTATIONS), np.uint32)
    for begin in range(0, len(keys), AT_ONCE):
        hashes, starts = _shingle_hashes(keys[begin : begin + AT_ONCE])
        for column, (a, b) in enumerate(permutations(PERMUTATIONS)):
            values = hashes * np.uint32(a) + np.uint32(b)
            found[begin : begin + AT_ONCE, column] = np.minimum.reduceat(values, starts)
    return found


def band_hashes(values: U32, rows: int) -> U32:
    """A row of numbers for each row of `values`: one for every `rows` of them; what is left over is left out."""
    bands = values.shape[1] // rows
    parts = values[:, : bands * rows].reshape(len(values), bands, rows)
    found = np.zeros((len(values), bands), np.uint32)
    for row in range(rows):
        found = (found ^ parts[:, :, row]) * np.uint32(0x9E3779B1)
        found ^= found >> np.uint32(15)
    return found


def shingle_sets(keys: Sequence[str]) -> tuple[U32, NDArray[np.int64]]:
    """The hashes of the shingles of texts, each once and in order, by their `same_text_key`; and how many each has."""
    parts, counts = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for begin in range(0, len(keys), AT_ONCE):
        hashes, starts = _shingle_hashes(keys[begin : begin + AT_ONCE])
        of = np.repeat(np.arange(len(starts), dtype=np.uint64), np.diff(np.append(starts, len(hashes))))
        found = np.unique(of << np.uint64(32) | hashes)
        parts.append(found.astype(np.uint32))  # the lower half
        counts.append(np.bincount(found >> np.uint64(32), minlength=len(starts)))
    return np.concatenate(parts), np.concatenate(counts)


def run_hashes(texts: Sequence[list[str]]) -> tuple[U64, NDArray[np.int64]]:
    """The hashes of all runs of RUN words of texts, given by their words; and how many each text has."""
    lengths = np.array([len(words) for words in texts], np.int64)
    hashes = np.fromiter((word_hash(word) for words in texts for word in words), np.uint64, int(lengths.sum()))
    windows = max(0, len(hashes) - RUN + 1)
    found = np.zeros(windows, np.uint64)
    for offset in range(RUN):
        found = found * np.uint64(FACTOR) + hashes[offset : offset + windows]
    return found[_inside(lengths, RUN, windows)], np.maximum(0, lengths - RUN + 1)


def _shingle_hashes(keys: Sequence[str]) -> tuple[U32, NDArray[np.int64]]:
    """The hashes of all shingles, and where each text's begin."""
    filled = [key.ljust(SHINGLE) for key in keys]
    lengths = np.array([len(key) for key in filled], np.int64)
    codes = np.frombuffer("".join(filled).encode("utf-32-le", "surrogatepass"), np.uint32)
    windows = len(codes) - SHINGLE + 1
    found = np.zeros(windows, np.uint32)
    for offset in range(SHINGLE):
        found = found * np.uint32(0x01000193) + codes[offset : offset + windows]
    found = (found ^ (found >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    found = (found ^ (found >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    found ^= found >> np.uint32(16)
    counts = lengths - SHINGLE + 1
    return found[_inside(lengths, SHINGLE, windows)], np.cumsum(counts) - counts


def _inside(lengths: NDArray[np.int64], size: int, windows: int) -> NDArray[np.bool_]:
    """Which windows of `size` over texts laid end to end lie in one text."""
    inside = np.ones(windows, bool)
    ends = np.cumsum(lengths)
    begins = ends - lengths
    for back in range(1, size):
        last = ends - back
        inside[last[(last >= begins) & (last < windows)]] = False
    return inside
