"""A scraped document, and how documents are kept: zstd-compressed JSON lines."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Document:
    """One text as its source gave it, uncleaned."""

    id: str
    """The source's own id, else a hash of the text: what makes it the same document on the next scrape."""
    text: str
    author: str | None = None
    created_at: str | None = None
    """As the source wrote it."""
    likes: int | None = None
    retweet: bool = False


def text_id(text: str) -> str:
    """An id for a document whose source gives none: 16 hex digits of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pack(documents: Iterable[Document]) -> bytes:
    """Documents → zstd-compressed JSON lines; fields that say nothing are left out."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for document in documents:
            # "is", because no likes (0) is not the same as none known
            fields = {
                name: value for name, value in asdict(document).items() if value is not None and value is not False
            }
            stream.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
    return bytes(sink.getvalue().to_pybytes())


def unpack(data: bytes) -> Iterator[Document]:
    """The reverse of `pack`."""
    for line in pa.CompressedInputStream(pa.BufferReader(data), "zstd").read().splitlines():
        yield Document(**json.loads(line))
