"""Which encoding is found; and that a guess is told."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import FileSource
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers import encoding
from scrapers.encoding import find_encoding
from scrapers.file import scrape
from scrapers.page import Context

RUSSIAN = "Никто не знает, что случилось вчера вечером в городе."


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 9))
def test_utf_8_is_never_taken_for_another(text: str, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "AT_ONCE", at_once)
        found, bad = find_encoding(io.BytesIO(text.encode()))
    assert bad is None
    assert text.encode().decode(found) == text.removeprefix("\ufeff") or "\0" in text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("He said “hello” – and didn’t stay…", "cp1252"),
        ("Die Straße ist schön, aber für Fußgänger gefährlich.", "cp1252"),
        ("Zażółć gęślą jaźń, proszę państwa, żółw się śmieje", "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("これは日本語のテキストです。今日は天気がいいですね。", "shift_jis"),
    ],
)
def test_another_is_guessed_and_told(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"ASCII\n" * 1000 + text.encode(name))
    pages = list(scrape(FileSource(url=str(path)), None, Context("demo", "a", Settings.read({}))))
    assert pages[-2].documents[-1].text == text
    (told,) = (problem for page in pages for problem in page.problems)
    assert told.startswith(f"{path}: not UTF-8 at byte 60")
    assert f": read as {name}, which is a guess" in told


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_tells_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({"text": RUSSIAN}, ensure_ascii=False).encode(name))
    (page, _) = scrape(FileSource(url=str(path)), None, Context("demo", "a", Settings.read({})))
    assert ([found.text for found in page.documents], page.problems) == ([RUSSIAN], ())


def test_one_that_is_named_wrongly_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("café".encode("cp1252"))
    with pytest.raises(MynahError, match="is not written in utf-8: say in which"):
        list(scrape(FileSource(url=str(path), encoding="utf-8"), None, Context("demo", "a", Settings.read({}))))
    with pytest.raises(ValueError, match="'utf-9' is no encoding that is known here"):
        FileSource(url="a", encoding="utf-9")
