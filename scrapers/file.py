"""The file source: rows of CSV, JSON, JSON lines, Parquet or plain text, from wherever the file lies."""

import io
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from mynah.bot import FileSource
from mynah.document import Document, text_id
from mynah.errors import MynahError
from scrapers.encoding import find_encoding
from scrapers.packed import unpack
from scrapers.page import Context, Cursor, Page
from scrapers.rows import TEXT_NAMES, csv_rows, json_rows, jsonl_rows, parquet_rows, text_chunks
from scrapers.whole import scrape_whole

READING = 1  # raised when the same file gives other documents than before, so that files are read again
# JSON may hold halves of characters that UTF-16 writes as two: \ud83d of an emoji that was cut off.
HALF = re.compile("[\ud800-\udfff]")


def scrape(source: FileSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The documents of a file, in its order; rows without a text are passed over.

    The cursor names the file's content: none of a file that has not changed is read into documents again.
    Raises MynahError with one line where the file is missing, unreadable or not what `source` says it is.
    """

    def some(stream: BinaryIO, problems: list[str]) -> Iterator[Document]:
        documents = read_documents(stream, source, problems)
        first = next(documents, None)
        if first is None:
            raise MynahError(f"{source.url} holds no text")
        yield from chain([first], documents)

    yield from scrape_whole(source, cursor, context, READING, some)


def read_documents(stream: BinaryIO, source: FileSource, problems: list[str]) -> Iterator[Document]:
    """The documents in a file; what was guessed is a problem. Raises MynahError where it is not what `source` says."""
    unpacked, name = unpack(stream, source.url, source.member)
    form = source.format if source.format != "auto" else _format(name)
    if form == "parquet":
        if unpacked is not stream:
            raise MynahError(f"{source.url}: a Parquet file has to be sought in: unpack it yourself")
        yield from _documents(parquet_rows(stream, source.url, lambda row: _names(row, source)), source)
        return
    encoding = source.encoding
    if encoding == "auto":
        encoding, bad = find_encoding(unpacked)
        if bad is not None:
            problems.append(
                f"{source.url}: not UTF-8 at byte {bad}: read as {encoding}, which is a guess; "
                "look at the texts, and name the encoding"
            )
        stream.seek(0)
        unpacked, _ = unpack(stream, source.url, source.member)
    if encoding == "utf-8":
        encoding = "utf-8-sig"  # the same, whose mark at the beginning is no text
    # csv ends lines itself; a line of JSON ends at \n alone, and of a text at \r and \r\n too, but not at U+2028.
    newline = {"csv": "", "jsonl": "\n"}.get(form)
    text = io.TextIOWrapper(unpacked, encoding, newline=newline)
    try:
        if form == "txt":
            yield from (Document(id=text_id(chunk), text=chunk) for chunk in text_chunks(text, source))
        else:
            rows = {"csv": csv_rows, "json": json_rows, "jsonl": jsonl_rows}[form](text, source)
            yield from _documents(rows, source)
    except UnicodeError:
        raise MynahError(f"{source.url}: is not written in {source.encoding}: say in which") from None


def _format(name: str) -> str:
    ending = name.rpartition(".")[2].lower()
    return {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}.get(ending, "txt")


def _documents(rows: Iterable[Any], source: FileSource) -> Iterator[Document]:
    names: dict[str, str] | None = None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise MynahError(f"{source.url}: row {number} is not an object with named fields")
        if names is None:
            names = _names(row, source)
        text = row.get(names["text"])
        if not isinstance(text, str) or not text.strip():
            continue
        text = _text(text)
        value = {field: row.get(name) for field, name in names.items()}
        likes = _number(value.get("likes"))
        yield Document(
            id=_text(value.get("id") or text_id(text)),
            text=text,
            author=_text(value["author"]) if value.get("author") else None,
            created_at=_text(value["created_at"]) if value.get("created_at") else None,
            numbers={} if likes is None else {"likes": likes},
            repost=str(value.get("retweet")).lower() in ("true", "1", "t", "yes"),
        )


def _text(value: Any) -> str:
    """As text that can be written as UTF-8."""
    return HALF.sub("\ufffd", str(value))


def _number(value: Any) -> int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if math.isfinite(number) else None


def _names(row: dict[str, Any], source: FileSource) -> dict[str, str]:
    """Which key of a row holds which field; checked against the first row."""
    names = {str(field): name for field, name in source.fields.items()}
    has = ", ".join(str(key) for key in row)
    for field, name in names.items():
        if name not in row:
            raise MynahError(f"{source.url}: has no column {name} (wanted as {field}); it has: {has}")
    if "text" not in names:
        found = [key for key in row if str(key).lower() in TEXT_NAMES]
        if len(found) != 1:
            raise MynahError(f"{source.url}: say which column holds the text (fields: {{text: …}}); it has: {has}")
        names["text"] = found[0]
    return names
