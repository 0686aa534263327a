"""Looking through packed documents for words, without an index: only the lines that have them are read as JSON."""

import io
import re
from collections.abc import Iterator

import pyarrow as pa

from mynah.document import Document, parse_line

_AT_ONCE = 1 << 20  # bytes of lines


def scan(source: pa.NativeFile, pattern: re.Pattern[str]) -> Iterator[Document]:
    """The documents of which the line matches, in order; `source` is what mynah.document packed.

    A pattern of letters and digits alone finds them in any text; what JSON escapes, such as a quotation mark, it does
    not find.
    """
    with io.BufferedReader(pa.CompressedInputStream(source, "zstd"), _AT_ONCE) as stream:
        rest = b""
        while block := stream.read(_AT_ONCE):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield from _matching(whole, pattern)
        yield from _matching(rest, pattern)


def _matching(lines: bytes, pattern: re.Pattern[str]) -> Iterator[Document]:
    text, end = lines.decode("utf-8", "surrogatepass"), 0
    while found := pattern.search(text, end):
        begin = text.rfind("\n", 0, found.start()) + 1
        end = text.find("\n", found.end())
        end = len(text) if end < 0 else end
        yield parse_line(text[begin:end].encode("utf-8", "surrogatepass"))
