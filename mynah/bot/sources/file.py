"""The source `file`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source


def _encoding(value: str) -> str:
    """A name that Python knows; others, such as cp932 and windows-1251, are names of the same."""
    try:
        "".encode(value if value != "auto" else "utf-8")
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(
            f"{value!r} is no encoding that is known here: write auto, utf-8 or cp1252, for example"
        ) from None
    return value


DocumentField = Literal["id", "text", "author", "created_at", "likes", "retweet"]


class FileSource(Source):
    """A data file: CSV, JSON, JSON lines, Parquet or plain text. Every row of it is a document.

    It may be packed by gzip, zstd or zip, and larger than the memory: it is read as it comes.
    """

    kind: Literal["file"] = "file"
    """What sort of source this is."""
    url: Annotated[str, Unit("address")] = Field(min_length=1)
    """Where the file lies: a local path, an address that begins with `http://`, `https://`, `s3://` or `gs://`,
    or `package://NAME/PATH` for a file inside an installed Python package. Where `MYNAH_DATA` is set, as on a cluster,
    a local path begins in that folder and stays in it. Over http, a file of up to 32 MiB is read."""
    format: Literal["auto", "csv", "json", "jsonl", "txt", "parquet"] = "auto"
    """How the file is written. `auto` goes by the ending of its name, without .gz or .zst; an unknown ending is
    `txt`."""
    member: Annotated[str | None, Unit("file name")] = Field(default=None, min_length=1)
    """Which file in a zip archive is meant, where it holds several."""
    encoding: Annotated[str, Unit("name of an encoding"), AfterValidator(_encoding)] = "auto"
    """How the text is written in bytes. `auto` knows UTF-8, and UTF-16 and UTF-32 by their marks; for another, it
    guesses, and tells what it took."""
    fields: Annotated[dict[DocumentField, str], Unit("map of fields to columns")] = Field(default={})
    """Which column or key of a row holds which field of a document. The fields are id, text, author, created_at,
    likes and retweet. `text` may be left out where only one column is named text, tweet, joke, body or content, in
    upper or lower case."""
    columns: list[str] = Field(default=[])
    """The names of the columns, for a CSV file without a header row."""
    delimiter: Annotated[str, Unit("one character")] = Field(default=",", min_length=1, max_length=1)
    """What stands between two columns of a CSV file. Where a comma gives no columns that fit, a semicolon, a tab and
    a `|` are tried."""
    separator: str = Field(default="\n", min_length=1)
    """The line that stands between two documents of a txt file. By default every line is a document."""
