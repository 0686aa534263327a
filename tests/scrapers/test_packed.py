"""Packed files, which are read as they unpack; and those that are cut off, damaged, or bombs."""

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from mynah.errors import MynahError
from scrapers import packed
from tests.scrapers.test_file import documents

TEXT = "\n".join(f"text number {n}" for n in range(5000))


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def zipped(**files: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
        archive.writestr("__MACOSX/._a.csv", "not data")
    return sink.getvalue()


def refused(path: Path, data: bytes, wanted: str, **source: str) -> None:
    path.write_bytes(data)
    with pytest.raises(MynahError, match=wanted) as caught:
        documents(path, **source)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv.gz", gzip.compress(b"id,text\n") + gzip.compress(b"7,hello\n")),  # two pieces, as gzip joins files
        ("a.csv.zst", zstd(b"id,text\n") + zstd(b"7,hello\n")),
        ("a.csv", gzip.compress(b"id,text\n7,hello\n")),  # whatever its name says
        ("a.zip", zipped(a__csv="id,text\n7,hello\n")),
    ],
)
def test_it_is_known_by_how_it_begins(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert [(found.id, found.text) for found in documents(tmp_path / name, fields={"id": "id"})] == [("7", "hello")]


def test_a_zip_of_several_files_needs_the_name_of_one(tmp_path: Path) -> None:
    path, data = tmp_path / "a.zip", zipped(a__csv="text\none\n", b__txt="two\n")
    refused(path, data, r"holds a\.csv, b\.txt: say which is meant \(member: …\)")
    refused(path, data, r"holds no file c\.csv; it holds: a\.csv, b\.txt", member="c.csv")
    assert [found.text for found in documents(path, member="b.txt")] == ["two"]
    refused(path, zipped(), "holds no file: say which is meant")
    refused(tmp_path / "a.txt", b"text", "is no zip archive", member="a.csv")


def test_what_is_cut_off_or_damaged_is_one_line(tmp_path: Path) -> None:
    for data in (gzip.compress(TEXT.encode()), zstd(TEXT.encode())):
        refused(tmp_path / "a.txt", data[:-20], "cannot be unpacked whole, it is cut off or damaged")
    refused(tmp_path / "a.txt", gzip.compress(TEXT.encode())[:-9] + b"123456789", "cannot be unpacked whole")
    whole = zipped(a__csv=TEXT)
    refused(tmp_path / "a.zip", whole[:-20], "is no whole zip archive")
    refused(tmp_path / "a.zip", whole[:99] + b"damage" + whole[105:], "cannot be unpacked whole")


def test_a_bomb_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FREE", 1 << 20)
    lines = b"0123456789abcdef\n" * (1 << 18)
    bomb = "unpacks to more than . MiB, from .* KiB: unpack it yourself, if it is no bomb"
    refused(tmp_path / "a.txt", gzip.compress(lines), bomb)
    refused(tmp_path / "a.txt", zstd(lines), bomb)
    refused(tmp_path / "a.zip", zipped(a__txt=lines.decode()), bomb)
