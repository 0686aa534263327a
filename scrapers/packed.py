"""Files that are packed: gzip, zstd and zip, unpacked as they are read, and no bomb among them."""

import gzip
import io
import zipfile
import zlib
from typing import Any, BinaryIO, cast

import pyarrow as pa

from mynah.errors import MynahError

MAX_UNPACKED = 64 << 30  # bytes
# Of texts, 5 to 20 times are usual, and logs of one line 100; bombs are gzip's 1,000 times and more.
MAX_RATIO, FREE = 200, 256 << 20  # how many times the packed size, beyond so many bytes
GZIP, ZSTD, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"


def unpack(stream: BinaryIO, url: str, member: str | None = None) -> tuple[BinaryIO, str]:
    """What is packed in `stream`, known by how it begins, and its name; the stream itself where nothing is.

    `member` is the file that is meant in a zip archive of several. Raises MynahError with one line, as does reading.
    """
    name = url.split("?")[0]
    begin = stream.read(4)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if begin.startswith(ZIP):
        return _member(stream, url, member)
    if member:
        raise MynahError(f"{url}: is no zip archive: leave out the source's member")
    if begin.startswith(GZIP):
        return _unpacked(gzip.GzipFile(fileobj=stream), url, size), name.removesuffix(".gz")
    if begin == ZSTD:
        source = pa.CompressedInputStream(pa.PythonFile(_Lent(stream), "r"), "zstd")
        return _unpacked(source, url, size), name.removesuffix(".zst")
    return stream, name


def _member(stream: BinaryIO, url: str, member: str | None) -> tuple[BinaryIO, str]:
    try:
        archive = zipfile.ZipFile(stream)
        # What macOS puts beside each file is none of its data.
        files = [file for file in archive.infolist() if not file.is_dir() and not file.filename.startswith("__MACOSX/")]
        names = [file.filename for file in files]
        if member and member not in names:
            raise MynahError(f"{url}: holds no file {member}; it holds: {_list(names)}")
        if not member and len(files) != 1:
            raise MynahError(f"{url}: holds {_list(names)}: say which is meant (member: …)")
        chosen = files[names.index(member)] if member else files[0]
        return _unpacked(archive.open(chosen), url, chosen.compress_size), chosen.filename
    except zipfile.BadZipFile as error:
        raise MynahError(f"{url}: is no whole zip archive: {error}") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, a way of packing that is not known
        raise MynahError(f"{url}: cannot be unpacked: {error}") from None


def _list(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "no file"


def _unpacked(source: Any, url: str, packed: int) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Unpacked(source, url, packed), 1 << 18))


class _Lent(io.RawIOBase):
    """A stream that stays open when pyarrow drops what reads it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Unpacked(io.RawIOBase):
    """What `source` unpacks, up to a limit."""

    def __init__(self, source: Any, url: str, packed: int) -> None:
        self._source, self._url, self._given = source, url, 0
        self._limit = min(MAX_UNPACKED, max(FREE, packed * MAX_RATIO))
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._source.read(len(buffer))
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise MynahError(f"{self._url}: cannot be unpacked whole, it is cut off or damaged: {error}") from None
        self._given += len(data)
        if self._given > self._limit:
            raise MynahError(
                f"{self._url}: unpacks to more than {self._limit >> 20} MiB, from {self._packed >> 10} KiB: "
                "unpack it yourself, if it is no bomb"
            )
        buffer[: len(data)] = data
        return len(data)
