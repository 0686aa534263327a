"""The file source: rows of CSV, JSON, JSON lines or plain text, from wherever the file lies."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from mynah.bot import FileSource
from mynah.document import Document, text_id
from mynah.errors import MynahError
from scrapers.page import Context, Cursor, Page
from scrapers.whole import scrape_whole

TEXT_NAMES = ("text", "tweet", "joke", "body", "content")
READING = 1  # raised when the same file gives other documents than before, so that files are read again
# JSON may hold halves of characters that UTF-16 writes as two: \ud83d of an emoji that was cut off.
HALF = re.compile("[\ud800-\udfff]")


def scrape(source: FileSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The documents of a file, in its order; rows without a text are passed over.

    The cursor names the file's content: none of a file that has not changed is read into documents again.
    Raises MynahError with one line where the file is missing, unreadable or not what `source` says it is.
    """
    yield from scrape_whole(source, cursor, context, READING, lambda data: _some(read_documents(data, source), source))


def _some(documents: Iterator[Document], source: FileSource) -> Iterator[Document]:
    first = next(documents, None)
    if first is None:
        raise MynahError(f"{source.url} holds no text")
    yield from chain([first], documents)


def read_documents(data: bytes, source: FileSource) -> Iterator[Document]:
    """The documents in a file's content. Raises MynahError where it is not what `source` says it is."""
    form = source.format if source.format != "auto" else _format(source.url)
    # csv ends lines itself; a line of JSON ends at \n alone, and of a text at \r and \r\n too, but not at U+2028.
    newline = {"csv": "", "jsonl": "\n"}.get(form)
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=newline)
    try:
        if form == "txt":
            yield from (Document(id=text_id(chunk), text=chunk) for chunk in _split(text, source.separator))
        else:
            rows = {"csv": _csv_rows, "json": _json_rows, "jsonl": _jsonl_rows}[form](text, source)
            yield from _documents(rows, source)
    except UnicodeDecodeError:
        raise MynahError(f"{source.url}: not UTF-8{_where(data)}: convert it, e.g. with iconv") from None


def _where(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f" at byte {error.start}"
    return ""


def _format(url: str) -> str:
    ending = url.split("?")[0].rpartition(".")[2].lower()
    return {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}.get(ending, "txt")


def _split(lines: Iterable[str], separator: str) -> Iterator[str]:
    """Documents of a plain text: parted by lines that are `separator`, or one per line."""
    chunk: list[str] = []
    for line in chain((line.removesuffix("\n") for line in lines), [separator]):
        if separator != "\n" and line.strip() != separator.strip():
            chunk.append(line)
            continue
        whole = line if separator == "\n" else "\n".join(chunk)
        chunk = []
        if whole.strip():
            yield whole


def _csv_rows(lines: Iterable[str], source: FileSource) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(lines, fieldnames=source.columns or None, delimiter=source.delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise MynahError(f"{source.url}:{reader.line_num}: not valid CSV: {error}") from None


def _json_rows(lines: io.TextIOBase, source: FileSource) -> Iterable[Any]:
    data = _json(lines.read(), source)
    if isinstance(data, dict):  # an export that wraps its rows, such as Telegram's {"messages": […]}
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, list):
        raise MynahError(f"{source.url}: holds no list of rows: want a JSON list, or an object with one list in it")
    return data


def _jsonl_rows(lines: Iterable[str], source: FileSource) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _json(line.removesuffix("\n"), source, number)


def _json(text: str, source: FileSource, line: int = 1) -> Any:
    """JSON data; `line` is where `text` begins in the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MynahError(f"{source.url}:{line + error.lineno - 1}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, lists in lists in lists
        raise MynahError(f"{source.url}:{line}: not JSON that can be read: {error}") from None


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
