"""What the bucket keeps of a source.

    <bot>/raw/<source>/<utc>-<id>.jsonl.zst   a page: documents, and the cursor that follows them
    <bot>/raw/<source>/.cursor                a later cursor, where no new document came with it
    <bot>/raw/<source>/.ids                   which documents there are: hashes of their ids, and the pages read for it

The pages are the truth. The hidden two only save work: where they are missing or older than the pages, the source is
asked again, or the pages are read again.

A long cursor, of thousands of accounts, does not stand in every page: a page may name one before it that holds a whole
cursor, and what has changed since.
"""

import hashlib
import heapq
import json
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from mynah.bucket import Bucket, fingerprint
from mynah.document import Document, pack, unpack, unpack_cursor
from mynah.errors import MynahError
from scrapers.cursor import difference, merged
from scrapers.page import Cursor

CURSOR, IDS = ".cursor", ".ids"
FORM = f"8 bytes, {sys.byteorder}-endian"  # of a hash in .ids; an index of another form is made anew
LONG = 4096  # characters of a cursor as JSON, from which on pages may hold what has changed
MERGE = 500_000  # new hashes held in a set, at some 100 bytes each, before they join the others, at 8


class Raw:
    """The pages of one source of a bot. `kind` is the source's: a cursor of another kind counts for nothing."""

    def __init__(self, bucket: Bucket, bot: str, source: str, kind: str) -> None:
        self._bucket = bucket
        self._folder = (bot, "raw", source)
        self._kind = kind
        self._pages = bucket.names(*self._folder)
        self._in_index: set[str] | None = None  # pages that the kept index knows; None: it was not needed so far
        self._sorted = array("Q")
        self._new: set[int] = set()
        self._whole: tuple[str, Cursor, int] | None = None  # the page with the last whole cursor, that, and its length
        self._changes = 0  # length of what the pages since then hold

    def cursor(self) -> Cursor | None:
        """Where to go on: the newest page's cursor, or a later one. None: from the start."""
        newest = self._pages[-1] if self._pages else ""
        kept = json.loads(self._read(CURSOR) or b"{}")
        if kept.get("page") != newest:
            kept = self._note(newest) if newest else {}
        cursor: Cursor | None = kept.get("cursor") if kept.get("kind") == self._kind else None
        return cursor

    def unseen(self, documents: Iterable[Document]) -> list[Document]:
        """Those that are not kept yet; from now on they count as kept."""
        return [document for document in documents if self._add(document.id)]

    def has(self, id: str) -> bool:
        """Whether a document with this id counts as kept."""
        if self._in_index is None:
            self._load_ids()
        number = _hash(id)
        place = bisect_left(self._sorted, number)
        return number in self._new or (place < len(self._sorted) and self._sorted[place] == number)

    def write(self, documents: list[Document], cursor: Cursor | None) -> None:
        """Keep a page: its documents and its cursor, or neither.

        Raises MynahError where another scrape has written a page meanwhile: what it wrote is not known here, and would
        be written twice. A lock of one machine does not see another's.
        """
        if not set(self._bucket.names(*self._folder)) <= set(self._pages):
            raise MynahError(
                f"{self._bucket.address(*self._folder)}: another scrape of this source is at work: wait for it, "
                "then run this again"
            )
        if not documents:  # an empty page would be one more input of the next dataset, and a new model for nothing
            newest = self._pages[-1] if self._pages else ""
            self._bucket.write(
                json.dumps({"page": newest, "kind": self._kind, "cursor": cursor}).encode(), *self._folder, CURSOR
            )
            return
        name = f"{self._now()}-{fingerprint([document.id for document in documents])}.jsonl.zst"
        self._bucket.write(pack(documents, self._noted(cursor, name)), *self._folder, name)
        self._pages.append(name)

    def save_ids(self) -> None:
        """Keep the index, where there is more in it than is kept. Every document seen must have been written."""
        if self._in_index is None or self._in_index == set(self._pages):
            return
        self._merge()
        header = json.dumps({"form": FORM, "pages": self._pages}).encode() + b"\n"
        self._bucket.write(header + self._sorted.tobytes(), *self._folder, IDS)
        self._in_index = set(self._pages)

    def _noted(self, cursor: Cursor | None, page: str) -> dict[str, Any]:
        """What a page holds of its cursor: all of it, or what has changed.

        All of it again as soon as the changes have become as long: so all pages together hold the least.
        """
        if cursor and self._whole:
            whole, before, length = self._whole
            patch = difference(before, cursor) if length > LONG else None
            if patch is not None and (self._changes + (size := len(json.dumps(patch)))) < length:
                self._changes += size
                return {"kind": self._kind, "whole": whole, "patch": patch}
        self._whole, self._changes = (page, cursor, len(json.dumps(cursor))) if cursor else None, 0
        return {"kind": self._kind, "cursor": cursor}

    def _note(self, page: str) -> dict[str, Any]:
        """What a page says of its cursor, which is then whole; {} where it says nothing."""
        note = unpack_cursor(self._read(page) or b"") or {}
        if "patch" in note:  # where somebody removed the page with the whole one, the source begins anew
            before = (unpack_cursor(self._read(note["whole"]) or b"") or {}).get("cursor")
            note["cursor"] = merged(before, note["patch"]) if before else None
        return note

    def _add(self, id: str) -> bool:
        """Whether it was not there before."""
        if self.has(id):
            return False
        self._new.add(_hash(id))
        if len(self._new) >= MERGE:
            self._merge()
        return True

    def _load_ids(self) -> None:
        """Take the index, and read the pages that it lacks: a killed scrape's, and those of 0.2.0, which made none."""
        self._in_index = set()
        header, _, hashes = (self._read(IDS) or b"{}").partition(b"\n")
        index = json.loads(header)
        # A page that somebody removed takes its ids with it, and only the other pages know which those were.
        if index.get("form") == FORM and set(index["pages"]) <= set(self._pages):
            self._sorted.frombytes(hashes)
            self._in_index = set(index["pages"])
        for page in self._pages:
            if page not in self._in_index:
                for document in unpack(self._bucket.read(*self._folder, page)):
                    self._add(document.id)

    def _merge(self) -> None:
        self._sorted = array("Q", heapq.merge(self._sorted, sorted(self._new)))
        self._new.clear()

    def _read(self, name: str) -> bytes | None:
        try:
            return self._bucket.read(*self._folder, name)
        except FileNotFoundError:
            return None

    def _now(self) -> str:
        """The time as a page's name begins, later than the newest page's, whatever the clock says."""
        now, form = datetime.now(UTC), "%Y%m%dT%H%M%S%f"
        newest = self._pages[-1].partition("-")[0] if self._pages else ""
        try:  # 0.2.0 wrote whole seconds
            last = datetime.strptime(newest.ljust(21, "0"), form).replace(tzinfo=UTC)
        except ValueError:  # a page that somebody else put there
            last = now
        return max(now, last + timedelta(microseconds=1)).strftime(form)


def _hash(id: str) -> int:
    """64 bits of its SHA-256: two of a million ids have the same with a chance of 1 in 37 million."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8])
