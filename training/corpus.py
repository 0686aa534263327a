"""The texts of all sources, cleaned, each once: read page by page, and kept in a file, however many there are.

In memory are some 40 bytes per text: what the split, the near-duplicates and the statistics ask.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mynah.bot import Bot, Clean
from mynah.bucket import Bucket
from mynah.cleaning import cleaning, keys
from mynah.document import text_line, unpack
from mynah.progress import track
from mynah.recitation import key_hash
from mynah.text import same_text_key
from training.parallel import in_order
from training.sides import among, split_of

CHUNK = 10_000  # texts that are read at once
MERGE = 500_000  # new hashes beside those that are sorted already

COLUMNS: dict[str, type[np.generic]] = {
    "key": np.uint64,
    "dev": np.bool_,
    "source": np.uint16,
    "characters": np.int32,
    "words": np.int32,
}


@dataclass
class Corpus:
    """The texts in `file`, a line of JSON each, as a dataset has them. The columns hold a number for each text."""

    file: Path
    ends: NDArray[np.int64]
    """Where each text's line ends in the file."""
    key: NDArray[np.uint64]
    dev: NDArray[np.bool_]
    """Which side its hash puts it on."""
    source: NDArray[np.uint16]
    """By its place in the bot file."""
    characters: NDArray[np.int32]
    words: NDArray[np.int32]
    left_out: NDArray[np.bool_]
    """What is left out after all, for a reason that only all texts together give."""
    documents: Counter[str] = field(default_factory=Counter)
    """How many there were, by source."""
    dropped: Counter[str] = field(default_factory=Counter)
    """How many are left out, by reason."""
    changed: Counter[str] = field(default_factory=Counter)
    """How many documents each rule of cleaning changed."""
    raw: dict[str, dict[str, str]] = field(default_factory=dict)
    """The SHA-256 of each raw object, by source and name."""

    def __len__(self) -> int:
        return len(self.ends)

    def leave_out(self, which: NDArray[np.bool_] | NDArray[np.int64], reason: str) -> None:
        """Leave texts out that were not left out before, by a mask or by their numbers."""
        before = int(self.left_out.sum())
        self.left_out[which] = True
        if more := int(self.left_out.sum()) - before:
            self.dropped[reason] += more

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Numbers of texts, from and to, that together are all."""
        return ((begin, min(begin + CHUNK, len(self))) for begin in range(0, len(self), CHUNK))

    def lines(self, begin: int, end: int) -> list[bytes]:
        """The lines of some texts."""
        return _read_lines(self.file, *self.place(begin, end))

    def texts(self, begin: int, end: int) -> list[str]:
        return [json.loads(line)["text"] for line in self.lines(begin, end)]

    def place(self, begin: int, end: int) -> tuple[int, int]:
        """Where the lines of some texts begin and end in the file, in bytes."""
        return int(self.ends[begin - 1]) if begin else 0, int(self.ends[end - 1])


def _read_lines(file: Path, begin: int, end: int) -> list[bytes]:
    with file.open("rb") as opened:
        opened.seek(begin)
        return opened.read(end - begin).splitlines(keepends=True)


def texts_at(file: Path, place: tuple[int, int]) -> list[str]:
    """The texts at a `Corpus.place`, for another process."""
    return [json.loads(line)["text"] for line in _read_lines(file, *place)]


def collect(bot: Bot, bucket: Bucket, raw: dict[str, list[str]], file: Path, processes: int | None = None) -> Corpus:
    """Clean what was scraped into `file`. Of texts that count as the same, the first is kept. `raw`: the objects' names
    by source."""
    pages = [(source, name) for source, names in raw.items() for name in names]
    work = partial(_clean_page, bucket, bot.name, bot.clean, bot.train.dev_fraction)
    seen = _Seen()
    documents, dropped, changed = Counter[str](), Counter[str](), Counter[str]()
    hashes: dict[str, dict[str, str]] = {source: {} for source in raw}
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in COLUMNS}
    ends: list[NDArray[np.int64]] = []
    size = 0
    order = {source: number for number, source in enumerate(raw)}
    with file.open("wb") as sink:
        for (source, name), page in zip(
            pages, track(in_order(work, pages, processes), "cleaning", len(pages)), strict=True
        ):
            documents[source] += page.documents
            dropped.update(page.dropped)
            changed.update(page.changed)
            hashes[source][name] = page.sha256
            new = seen.add(page.key)
            if len(new) < len(page.lines):
                dropped["duplicate"] += len(page.lines) - len(new)
            lines = [page.lines[number] for number in new]
            sink.write(b"".join(lines))
            ends.append(size + np.cumsum([len(line) for line in lines], dtype=np.int64))
            size += sum(map(len, lines))
            for column in ("key", "dev", "characters", "words"):
                columns[column].append(getattr(page, column)[new])
            columns["source"].append(np.full(len(new), order[source], np.uint16))
    whole: dict[str, Any] = {
        name: np.concatenate([np.empty(0, form), *columns[name]]) for name, form in COLUMNS.items()
    }
    all_ends = np.concatenate([np.empty(0, np.int64), *ends])
    left_out = np.zeros(len(all_ends), bool)
    return Corpus(
        file, all_ends, **whole, left_out=left_out, documents=documents, dropped=dropped, changed=changed, raw=hashes
    )


@dataclass(frozen=True)
class _Page:
    """What one raw object gave."""

    documents: int
    lines: list[bytes]
    key: NDArray[np.uint64]
    dev: NDArray[np.bool_]
    characters: NDArray[np.int32]
    words: NDArray[np.int32]
    dropped: Counter[str]
    changed: Counter[str]
    sha256: str


def _clean_page(bucket: Bucket, bot: str, rules: Clean, dev_fraction: float, page: tuple[str, str]) -> _Page:
    data = bucket.read(bot, "raw", *page)
    clean = cleaning(rules)
    documents = 0
    dropped, changed = Counter[str](), Counter[str]()
    lines: list[bytes] = []
    found: dict[str, list[int]] = {name: [] for name in COLUMNS}
    for document in unpack(data):
        documents += 1
        cleaned = clean(document)
        for name in keys(cleaned.steps if cleaned.reason is None else cleaned.steps[:-1]):
            changed[name] += 1
        if cleaned.reason:
            dropped[cleaned.reason] += 1
            continue
        key = same_text_key(cleaned.text)
        lines.append(text_line(document.id, cleaned.text))
        found["key"].append(key_hash(key))
        found["dev"].append(split_of(key, dev_fraction) == "dev")
        found["characters"].append(len(cleaned.text))
        found["words"].append(key.count(" ") + 1)
    columns: dict[str, Any] = {
        name: np.array(found[name], COLUMNS[name]) for name in ("key", "dev", "characters", "words")
    }
    return _Page(documents, lines, **columns, dropped=dropped, changed=changed, sha256=hashlib.sha256(data).hexdigest())


class _Seen:
    """Which hashes there were: two sorted arrays, of which the small one is merged into the large one at times."""

    def __init__(self) -> None:
        self._large = np.empty(0, np.uint64)
        self._small = np.empty(0, np.uint64)

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The places of those that were not there before, each the first of its kind."""
        distinct, first = np.unique(hashes, return_index=True)
        new = ~(among(distinct, self._large) | among(distinct, self._small))
        self._small = np.union1d(self._small, distinct[new])
        if len(self._small) > MERGE:
            self._large, self._small = np.union1d(self._large, self._small), self._small[:0]
        return np.sort(first[new])
