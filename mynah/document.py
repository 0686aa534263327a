"""A scraped document, and how documents are kept: zstd-compressed JSON lines, with a cursor before them.

The cursor says where the source goes on after these documents. It lies in a skippable frame of zstd, which decoders
pass over: `zstdcat` shows the lines alone, and versions that know no cursor read the same documents.
"""

import hashlib
import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic_core import from_json

_SKIPPABLE = struct.Struct("<II")  # magic number, bytes that follow
_MAGIC = 0x184D2A50
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_READ = 1 << 16  # bytes of lines at once


@dataclass(frozen=True)
class Document:
    """One text as its source gave it, uncleaned."""

    id: str
    """The source's own id, else a hash of the text: what makes it the same document on the next scrape."""
    text: str
    author: str | None = None
    created_at: str | None = None
    """As the source wrote it."""
    numbers: dict[str, int | float] = field(default_factory=dict)
    """What the source counts of it, by name: likes, replies, views. What is not known is left out."""
    repost: bool = False
    """Whether its author only passed on what somebody else wrote."""


def text_id(text: str) -> str:
    """An id for a document whose source gives none: 16 hex digits of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pack(documents: Iterable[Document], cursor: dict[str, Any] | None = None) -> bytes:
    """Documents → zstd-compressed JSON lines, with the cursor before them."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for document in documents:
            stream.write(line(document))
    lines = bytes(sink.getvalue().to_pybytes())
    if cursor is None:
        return lines
    frame = json.dumps(cursor).encode()
    return _SKIPPABLE.pack(_MAGIC, len(frame)) + frame + lines


@contextmanager
def packing(file: Path) -> Iterator[Callable[[bytes], object]]:
    """Write lines into `file` as they come, as `pack` packs them."""
    with pa.OSFile(str(file), "wb") as sink, pa.CompressedOutputStream(sink, "zstd") as stream:
        yield stream.write


def line(document: Document) -> bytes:
    """A document as a line of JSON."""
    return _ENCODER.encode(_fields(document)).encode() + b"\n"


def text_line(id: str, text: str) -> bytes:
    """The line of a document that is nothing but a text."""
    return f'{{"id": {encode_basestring(id)}, "text": {encode_basestring(text)}}}\n'.encode()


def unpack(data: bytes) -> Iterator[Document]:
    """The documents that `pack` packed. Fields that are not known here are passed over."""
    with io.BufferedReader(pa.CompressedInputStream(pa.BufferReader(data), "zstd"), _READ) as lines:
        for each in lines:
            yield parse_line(each)


def parse_line(each: bytes) -> Document:
    """The document of a line. Fields that are not known here are passed over."""
    try:
        return _document(from_json(each, cache_strings="keys"))  # five times as fast as json
    except ValueError:  # half a character, escaped
        return _document(json.loads(each))


def unpack_cursor(data: bytes) -> dict[str, Any] | None:
    """The cursor that `pack` packed; None where there is none."""
    if len(data) < _SKIPPABLE.size:
        return None
    magic, size = _SKIPPABLE.unpack_from(data)
    if magic != _MAGIC:
        return None
    cursor: dict[str, Any] = json.loads(data[_SKIPPABLE.size : _SKIPPABLE.size + size])
    return cursor


def _fields(document: Document) -> dict[str, Any]:
    """A line's fields; those that say nothing are left out.

    0.2.0 knows likes and retweet, and stops at any other name, so these two stay what they were.
    """
    numbers = dict(document.numbers)
    fields = {
        "id": document.id,
        "text": document.text,
        "author": document.author,
        "created_at": document.created_at,
        "likes": numbers.pop("likes", None),
        "retweet": document.repost or None,
        "numbers": numbers or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _document(fields: dict[str, Any]) -> Document:
    numbers = dict(fields.get("numbers") or {})
    if (likes := fields.get("likes")) is not None:
        numbers["likes"] = likes
    return Document(
        id=fields["id"],
        text=fields["text"],
        author=fields.get("author"),
        created_at=fields.get("created_at"),
        numbers=numbers,
        repost=bool(fields.get("retweet")),
    )
