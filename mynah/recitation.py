"""The recitation index: what the training texts hold, so that one can tell how much of a new text stands in them.

A file of a dataset's folder, made with it and mapped into memory, of sorted numbers after a header of JSON:

    whole       the hash of every text, by what counts as the same text
    runs        the hash of every run of 5 words
    bands       of every text 16 numbers, each of 4 of its MinHash values; texts that share one are likely near
    texts       beside each number of `bands`, which text it is of
    signatures  of every text the low bytes of its 64 MinHash values

The hashes here are written in plain Python: what asks a few texts needs no numpy. training.minhash and
training.recitation make the same ones by the million.
"""

import functools
import hashlib
import json
import mmap
import sys
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mynah.text import same_text_key, words

FILE = "recitation.index"
VERSION = 1
HEADER = 4096  # bytes, filled up with spaces
RUN = 5  # words; a shared run this long is copying rather than chance
FACTOR = 0x9E3779B97F4A7C15  # of a run's hash, 64 bits, odd
SHINGLE = 5  # characters; texts are near when they share most of their runs of so many
BANDS, ROWS = 16, 4  # two texts that share 80 % of their shingles share a band in all but 2 of 10,000 cases
_MASK = (1 << 64) - 1


def text_hash(text: str) -> int:
    """Equal for texts that count as the same; 64 bits."""
    return key_hash(same_text_key(text))


def key_hash(key: str) -> int:
    """The same of a text whose `same_text_key` is known."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@functools.lru_cache(1 << 16)
def word_hash(word: str) -> int:
    """64 bits."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def run_hashes(text: str) -> list[int]:
    """Of each run of RUN words; none of a shorter text."""
    hashes = [word_hash(word) for word in words(text)]
    found = []
    for start in range(len(hashes) - RUN + 1):
        run = 0
        for word in hashes[start : start + RUN]:
            run = (run * FACTOR + word) & _MASK
        found.append(run)
    return found


def shingles(key: str) -> set[str]:
    """The runs of 5 characters of a text's `same_text_key`; a shorter one is filled up."""
    key = key.ljust(SHINGLE)
    return {key[start : start + SHINGLE] for start in range(len(key) - SHINGLE + 1)}


def shingle_hash(shingle: str) -> int:
    """32 bits, well mixed (the finaliser of MurmurHash3)."""
    found = 0
    for character in shingle:
        found = (found * 0x01000193 + ord(character)) & 0xFFFFFFFF
    found = ((found ^ (found >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    found = ((found ^ (found >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return found ^ (found >> 16)


@functools.cache
def permutations(count: int) -> tuple[tuple[int, int], ...]:
    """Of 32-bit numbers, as MinHash takes them: x → (a * x + b) mod 2³². Always the same ones."""
    pairs = []
    for number in range(count):
        digest = hashlib.blake2b(number.to_bytes(4, "little"), digest_size=8, person=b"mynah minhash").digest()
        pairs.append((int.from_bytes(digest[:4], "little") | 1, int.from_bytes(digest[4:], "little")))
    return tuple(pairs)


@functools.lru_cache(64)
def minhash(text: str) -> tuple[int, ...]:
    """The MinHash of a text, BANDS * ROWS values. A candidate's is asked for several times, and takes a millisecond."""
    hashes = [shingle_hash(shingle) for shingle in shingles(same_text_key(text))]
    return tuple(min((a * each + b) & 0xFFFFFFFF for each in hashes) for a, b in permutations(BANDS * ROWS))


def band_hash(values: Iterable[int]) -> int:
    """Of the MinHash values of a band; 32 bits."""
    found = 0
    for value in values:
        found = ((found ^ value) * 0x9E3779B1) & 0xFFFFFFFF
        found ^= found >> 15
    return found


class Sorted:
    """Sorted 64-bit numbers, most likely in a mapped file, asked whether one is among them."""

    def __init__(self, numbers: "memoryview[int]") -> None:
        self._numbers = numbers

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number


@dataclass(frozen=True)
class Copied:
    """Knows the training texts, and how much of a new text stands word for word in them."""

    whole: Container[int]
    runs: Container[int]
    nearest: Callable[[str], float] = lambda text: 0.0
    """How near the nearest training text is, 0..1: see `Recitation.nearest`. 0 where there is no index to ask."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Copied":
        """Of texts that are in memory, as a dataset without an index is; what is near is not known."""
        whole, runs = set(), set()
        for text in texts:
            whole.add(text_hash(text))
            runs.update(run_hashes(text))
        return cls(whole, runs)

    def share(self, text: str) -> float:
        """The share of the text's 5-word runs that the training texts hold; 1 for a whole training text."""
        if self.is_whole(text):
            return 1.0
        runs = run_hashes(text)
        return sum(run in self.runs for run in runs) / len(runs) if runs else 0.0

    def is_whole(self, text: str) -> bool:
        """Whether it is a training text, but for case and punctuation."""
        return text_hash(text) in self.whole

    def longest(self, text: str) -> int:
        """The words of the longest span all of whose 5-word runs the training texts hold; 0 below 5 words.

        So it is the longest that is shared with one training text, or a little more: two of them may overlap in it.
        """
        longest = together = 0
        for run in run_hashes(text):
            together = together + 1 if run in self.runs else 0
            longest = max(longest, together)
        return longest + RUN - 1 if longest else 0


class Recitation:
    """The index in a file, mapped into memory: only what is asked for is read."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError where the file is of another version, or was made on a machine of another byte order."""
        with path.open("rb") as file:
            self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        header = json.loads(bytes(self._view[:HEADER]))
        if (header["version"], header["byteorder"]) != (VERSION, sys.byteorder):
            raise ValueError(f"{path} is of version {header['version']}, {header['byteorder']}-endian")
        self._sections: dict[str, list[int]] = header["sections"]
        self.texts: int = header["texts"]
        self.copied = Copied(Sorted(self._section("whole", "Q")), Sorted(self._section("runs", "Q")), self.nearest)

    def nearest(self, text: str) -> float:
        """How near the nearest training text is: an estimate of the share of shingles in both, in steps of 1/64.

        0 where none comes near. Of texts that share less than half, not all are found.
        """
        values = minhash(text)
        signature, signatures = bytes(value & 0xFF for value in values), self._section("signatures", "B")
        best = 0
        for number in set(self._sharing(values)):
            other = signatures[number * len(signature) : (number + 1) * len(signature)]
            best = max(best, sum(map(int.__eq__, signature, other)))
        return best / len(signature)

    def _sharing(self, values: Sequence[int]) -> Iterator[int]:
        bands, texts = self._section("bands", "I"), self._section("texts", "I")
        for band in range(BANDS):
            wanted, end = band_hash(values[band * ROWS : (band + 1) * ROWS]), (band + 1) * self.texts
            place = bisect_left(bands, wanted, band * self.texts, end)
            while place < end and bands[place] == wanted:
                yield texts[place]
                place += 1

    def _section(self, name: str, form: Literal["Q", "I", "B"]) -> "memoryview[int]":
        begin, size = self._sections[name]
        return self._view[begin : begin + size].cast(form)
