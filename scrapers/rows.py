"""The rows of a data file, in each of its formats. None of it is held but the row, and what packs it."""

import csv
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO, TextIO

from mynah.bot import FileSource
from mynah.errors import MynahError
from scrapers.json_list import parse, read_list

TEXT_NAMES = ("text", "tweet", "joke", "body", "content")
DELIMITERS = ",;\t|"
LONGEST = 32 << 20  # characters of a line, and of a text: one that never ends must not fill the memory
BATCH = 1000  # rows of a Parquet file


def _lines(text: TextIO, source: FileSource) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise MynahError(f"{source.url}:{number}: a line of more than {LONGEST >> 20} million characters: no text")
        yield line


def text_chunks(text: TextIO, source: FileSource) -> Iterator[str]:
    """Documents of a plain text: parted by lines that are the source's separator, or one per line."""
    separator = source.separator
    chunk: list[str] = []
    held = 0
    for line in chain((line.removesuffix("\n") for line in _lines(text, source)), [separator]):
        if separator != "\n" and line.strip() != separator.strip():
            chunk.append(line)
            held += len(line)
            if held > LONGEST:
                raise MynahError(
                    f"{source.url}: a text of more than {LONGEST >> 20} million characters: look at the separator"
                )
            continue
        whole = line if separator == "\n" else "\n".join(chunk)
        chunk, held = [], 0
        if whole.strip():
            yield whole


def csv_rows(text: TextIO, source: FileSource) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file, by the names in its header row or in the source."""
    csv.field_size_limit(LONGEST)
    lines = _lines(text, source)
    first = next(lines, "")
    delimiter = source.delimiter if source.delimiter != "," else _delimiter(first, source)
    reader = csv.DictReader(chain([first], lines), fieldnames=source.columns or None, delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise MynahError(f"{source.url}:{reader.line_num}: not valid CSV: {error}") from None


def _delimiter(line: str, source: FileSource) -> str:
    """What parts the first line into columns that fit: a comma where it does, or nothing else does."""
    for delimiter in DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        if source.columns:
            fits = len(names) == len(source.columns)
        else:
            named = {*source.fields.values()} <= {*names}
            fits = named and ("text" in source.fields or any(name.lower() in TEXT_NAMES for name in names))
        if fits:
            return delimiter
    return ","


def json_rows(text: TextIO, source: FileSource) -> Iterator[Any]:
    """The rows of a JSON list."""
    return read_list(text, source.url)


def jsonl_rows(text: TextIO, source: FileSource) -> Iterator[Any]:
    """The rows of a file with a JSON object on every line."""
    for number, line in enumerate(_lines(text, source), 1):
        if line.strip():
            yield parse(line.removesuffix("\n"), source.url, number)


def parquet_rows(
    stream: BinaryIO, url: str, names: Callable[[dict[str, Any]], dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, with no columns but those that `names` takes from a row of all of them."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
        columns = [*dict.fromkeys(names(dict.fromkeys(file.schema_arrow.names)).values())]
        for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise MynahError(f"{url}: not valid Parquet: {str(error).partition(chr(10))[0]}") from None
    except OSError as error:  # a damaged page
        raise MynahError(f"{url}: cannot be read as Parquet: {str(error).partition(chr(10))[0]}") from None
