"""How documents are kept, and that versions before and after this one read them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.document import Document, pack, unpack, unpack_cursor

RELEASE = Path(__file__).parents[1] / "releases/mynah-0.2.0-py3-none-any.whl"
TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
DOCUMENTS = st.builds(
    Document,
    id=TEXT,
    text=TEXT,
    author=st.none() | TEXT,
    numbers=st.dictionaries(st.just("likes") | TEXT, st.integers() | st.floats(allow_nan=False)),
    repost=st.booleans(),
)
CURSORS = st.none() | st.dictionaries(TEXT, TEXT | st.integers() | st.none())


@given(st.lists(DOCUMENTS, max_size=5), CURSORS)
def test_documents_and_cursor_come_back_as_they_were(many: list[Document], cursor: dict[str, object] | None) -> None:
    data = pack(many, cursor)
    assert list(unpack(data)) == many
    assert unpack_cursor(data) == cursor


def test_text_that_contains_line_ends_is_one_line() -> None:
    many = [Document(id="1", text="a\nb\rc\u2028d\u2029e\u0085f"), Document(id="2", text="g")]
    assert list(unpack(pack(many))) == many


def compressed(*lines: dict[str, object]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in lines).encode())
    return sink.getvalue().to_pybytes()


def test_fields_of_a_later_version_are_passed_over() -> None:
    data = compressed({"id": "1", "text": "hello", "language": "en", "numbers": {"views": 3}})
    assert list(unpack(data)) == [Document(id="1", text="hello", numbers={"views": 3})]


def test_what_0_2_0_wrote_is_read() -> None:
    data = compressed({"id": "1", "text": "hello", "likes": 0, "retweet": True}, {"id": "2", "text": "there"})
    assert list(unpack(data)) == [
        Document(id="1", text="hello", numbers={"likes": 0}, repost=True),
        Document(id="2", text="there"),
    ]
    assert unpack_cursor(data) is None


def test_0_2_0_reads_what_is_written(tmp_path: Path) -> None:
    """After `helm rollback`, the cursor is passed over and the fields are those it knows."""
    many = [
        Document(id="1", text="hello\u2028there", author="me", created_at="today", numbers={"likes": 7}, repost=True),
        Document(id="2", text="quite plain"),
    ]
    (tmp_path / "page").write_bytes(pack(many, {"kind": "file", "cursor": {"sha256": "0" * 64}}))
    with zipfile.ZipFile(RELEASE) as wheel:
        wheel.extractall(tmp_path / "release")
    program = (
        "import dataclasses, json, pathlib, mynah.document as m\n"
        "print(json.dumps([m.__file__, *map(dataclasses.asdict, m.unpack(pathlib.Path('page').read_bytes()))]))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "release")}, capture_output=True, check=True
    )
    file, *lines = json.loads(done.stdout)
    assert file.startswith(str(tmp_path))
    assert lines == [
        {
            "id": "1",
            "text": "hello\u2028there",
            "author": "me",
            "created_at": "today",
            "likes": 7,
            "retweet": True,
        },
        {"id": "2", "text": "quite plain", "author": None, "created_at": None, "likes": None, "retweet": False},
    ]


@pytest.mark.parametrize("data", [b"", b"\x50\x2a", b"no zstd at all"])
def test_what_is_no_page_has_no_cursor(data: bytes) -> None:
    assert unpack_cursor(data) is None
