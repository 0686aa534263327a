"""The file source: rows of CSV, JSON, JSON lines or plain text, from wherever the file lies."""

import csv
import importlib.util
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mynah.bot import FileSource
from mynah.bucket import Bucket
from mynah.document import Document, text_id
from mynah.errors import MynahError
from scrapers.fetch import fetch

TEXT_NAMES = ("text", "tweet", "joke", "body", "content")


def scrape(source: FileSource, allow_private: bool = False) -> Iterator[Document]:
    """The documents of a file, in its order; rows without a text are passed over.

    `allow_private` lets an http(s) address lead into a private network.
    Raises MynahError with one line where the file is missing, unreadable or not what `source` says it is.
    """
    data = _read(source.url, allow_private)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MynahError(f"{source.url}: not UTF-8 at byte {error.start}: convert it, e.g. with iconv") from None
    form = source.format if source.format != "auto" else _format(source.url)
    if form == "txt":
        for chunk in _split(text, source.separator):
            yield Document(id=text_id(chunk), text=chunk)
        return
    rows = {"csv": _csv_rows, "json": _json_rows, "jsonl": _jsonl_rows}[form](text, source)
    yield from _documents(rows, source)


def _read(url: str, allow_private: bool) -> bytes:
    scheme, separator, rest = url.partition("://")
    if scheme in ("http", "https") and separator:
        return fetch(url, allow_private).body or b""
    try:
        if scheme in ("s3", "gs") and separator:
            folder, _, name = url.rpartition("/")
            return Bucket(folder).read(name)
        if scheme == "package" and separator:
            return _package_file(rest).read_bytes()
        return Path(rest if separator and scheme == "file" else url).expanduser().read_bytes()
    except FileNotFoundError:
        raise MynahError(f"{url}: no such file: check the source's url") from None
    except IsADirectoryError:
        raise MynahError(f"{url}: is a folder: name one file in it") from None
    except PermissionError:
        raise MynahError(f"{url}: may not be read: check its permissions") from None


def _package_file(path: str) -> Path:
    """NAME/PATH → the file in the installed package NAME, found without importing it."""
    name, _, inside = path.partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MynahError(f"package://{path}: no Python package {name} is installed: pip install it")
    root = Path(spec.submodule_search_locations[0]).resolve()
    file = (root / inside).resolve()
    if not file.is_relative_to(root):
        raise MynahError(f"package://{path}: leads out of the package")
    return file


def _format(url: str) -> str:
    ending = url.split("?")[0].rpartition(".")[2].lower()
    return {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}.get(ending, "txt")


def _split(text: str, separator: str) -> Iterator[str]:
    """Documents of a plain text: parted by lines that are `separator`, or one a line."""
    chunk: list[str] = []
    for line in [*text.splitlines(), separator]:
        if separator != "\n" and line.strip() != separator.strip():
            chunk.append(line)
            continue
        whole = line if separator == "\n" else "\n".join(chunk)
        chunk = []
        if whole.strip():
            yield whole


def _csv_rows(text: str, source: FileSource) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), fieldnames=source.columns or None, delimiter=source.delimiter
    )
    try:
        yield from reader
    except csv.Error as error:
        raise MynahError(f"{source.url}:{reader.line_num}: not valid CSV: {error}") from None


def _json_rows(text: str, source: FileSource) -> Iterable[Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise MynahError(f"{source.url}:{error.lineno}: not valid JSON: {error.msg}") from None
    if isinstance(data, dict):  # an export that wraps its rows, such as Telegram's {"messages": […]}
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, list):
        raise MynahError(f"{source.url}: holds no list of rows: want a JSON list, or an object with one list in it")
    return data


def _jsonl_rows(text: str, source: FileSource) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise MynahError(f"{source.url}:{number}: not valid JSON: {error.msg}") from None


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
        value = {field: row.get(name) for field, name in names.items()}
        likes = str(value.get("likes", "")).strip()
        yield Document(
            id=str(value.get("id") or text_id(text)),
            text=text,
            author=value.get("author") or None,
            created_at=str(value["created_at"]) if value.get("created_at") else None,
            likes=int(float(likes)) if likes.replace(".", "", 1).isdigit() else None,
            retweet=str(value.get("retweet")).lower() in ("true", "1", "t", "yes"),
        )


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
