"""Scraping into the bucket: what is new, once each, whatever happens meanwhile."""

import json
import os
import random
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mynah.bot import Bot, FileSource, load
from mynah.bot.sources import KINDS
from mynah.bucket import Bucket
from mynah.document import Document, pack, unpack, unpack_cursor
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers import file, raw, verbs, whole
from scrapers import scrape as scraping
from scrapers.page import Context, Cursor, Page
from scrapers.raw import Raw
from scrapers.scrape import Scraped, scrape
from tests.scrapers.kill import killed, rounds, was_killed

REPO = Path(__file__).parents[2]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    write(path, range(25))
    return path


def write(path: Path, numbers: range) -> None:
    path.write_text("\n".join(f"text number {n}" for n in numbers))


def bot_of(texts: Path) -> tuple[Bot, Settings]:
    path = texts.with_name("demo.yaml")
    path.write_text(f"bots: {{demo: {{sources: {{texts: {{url: {texts}}}}}}}}}")
    return load(path), Settings.read({"MYNAH_HOME": str(texts.with_name("home"))})


def pages(bucket: Bucket) -> list[str]:
    return bucket.names("demo", "raw", "texts")


def stored(bucket: Bucket) -> list[str]:
    """The texts in the bucket, sorted."""
    return sorted(
        document.text for page in pages(bucket) for document in unpack(bucket.read("demo", "raw", "texts", page))
    )


@pytest.fixture
def read_pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the objects that are read from here on."""
    names: list[str] = []
    read = Bucket.read

    def noted(self: Bucket, *parts: str) -> bytes:
        names.append(parts[-1])
        return read(self, *parts)

    monkeypatch.setattr(Bucket, "read", noted)
    return names


def test_a_second_scrape_adds_only_what_is_new(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "PAGE_DOCUMENTS", 10)
    monkeypatch.setattr(whole, "PAGE", 5)
    bot, settings = bot_of(texts)
    assert scrape(bot, settings) == Scraped({"texts": 25}, {"texts": 25})
    assert len(pages(settings.bucket)) == 3
    assert scrape(bot, settings) == Scraped({"texts": 25}, {"texts": 0})
    texts.write_text("a new one\ntext number 3\na new one\n")
    assert scrape(bot, settings) == Scraped({"texts": 3}, {"texts": 1})
    assert len(stored(settings.bucket)) == len(set(stored(settings.bucket))) == 26


def test_a_file_that_has_not_changed_costs_nothing(
    texts: Path, read_pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bot, settings = bot_of(texts)
    scrape(bot, settings)
    (page,) = pages(settings.bucket)
    read_pages.clear()
    monkeypatch.setattr(file, "read_documents", lambda *_: pytest.fail("the file was read into documents"))
    for _ in range(2):
        assert scrape(bot, settings).found == {"texts": 25}
    assert read_pages == [".cursor", page] * 2  # for their cursors
    assert pages(settings.bucket) == [page]


def test_a_file_is_read_again_where_its_source_says_otherwise(texts: Path) -> None:
    texts = texts.rename(texts.with_suffix(".csv"))
    texts.write_text("text,joke\nhello there,a joke\n")
    bot, settings = bot_of(texts)
    scrape(bot.model_copy(update={"sources": {"texts": FileSource(url=str(texts), fields={"text": "text"})}}), settings)
    bot = bot.model_copy(update={"sources": {"texts": FileSource(url=str(texts), fields={"text": "joke"})}})
    assert scrape(bot, settings).new == {"texts": 1}
    assert stored(settings.bucket) == ["a joke", "hello there"]


def test_a_changed_file_reads_no_page_but_the_newest(
    texts: Path, read_pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "PAGE_DOCUMENTS", 10)
    monkeypatch.setattr(whole, "PAGE", 5)
    bot, settings = bot_of(texts)
    scrape(bot, settings)
    newest = pages(settings.bucket)[-1]
    read_pages.clear()
    write(texts, range(20, 30))
    assert scrape(bot, settings).new == {"texts": 5}
    assert read_pages == [".cursor", newest, ".ids"]


def test_a_file_that_only_lost_texts_makes_no_page(texts: Path, read_pages: list[str]) -> None:
    """It would be one more input of the next dataset, and a new model for nothing."""
    bot, settings = bot_of(texts)
    scrape(bot, settings)
    (page,) = pages(settings.bucket)
    write(texts, range(10))
    assert scrape(bot, settings) == Scraped({"texts": 10}, {"texts": 0})
    assert pages(settings.bucket) == [page]
    read_pages.clear()
    assert scrape(bot, settings) == Scraped({"texts": 10}, {"texts": 0})
    assert read_pages == [".cursor"]
    write(texts, range(30))
    assert scrape(bot, settings) == Scraped({"texts": 30}, {"texts": 5})


def test_what_was_written_without_a_cursor_is_read_once(texts: Path, read_pages: list[str]) -> None:
    """0.2.0's pages: no cursors, whole seconds in their names."""
    bot, settings = bot_of(texts)
    old = [f"20260101T09300{n}-abcdef0{n}.jsonl.zst" for n in range(2)]
    for name, part in zip(old, (range(10), range(10, 20)), strict=True):
        documents = [Document(id=file.text_id(text), text=text) for text in (f"text number {n}" for n in part)]
        settings.bucket.write(pack(documents), "demo", "raw", "texts", name)
    write(texts, range(20))
    assert scrape(bot, settings) == Scraped({"texts": 20}, {"texts": 0})
    assert pages(settings.bucket) == old
    read_pages.clear()
    assert scrape(bot, settings).found == {"texts": 20}
    assert read_pages == [".cursor"]
    write(texts, range(21))
    read_pages.clear()
    assert scrape(bot, settings).new == {"texts": 1}
    assert read_pages == [".cursor", ".ids"]
    assert len(stored(settings.bucket)) == 21


def test_a_page_that_was_removed_takes_its_ids_along(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "PAGE_DOCUMENTS", 10)
    monkeypatch.setattr(whole, "PAGE", 5)
    bot, settings = bot_of(texts)
    scrape(bot, settings)
    last = pages(settings.bucket)[-1]
    Path(settings.bucket.path("demo", "raw", "texts", last)).unlink()
    assert scrape(bot, settings) == Scraped({"texts": 25}, {"texts": 5})
    assert len(stored(settings.bucket)) == len(set(stored(settings.bucket))) == 25


def test_a_page_comes_after_those_before_whatever_the_clock_says(texts: Path) -> None:
    _, settings = bot_of(texts)
    ahead = "29991231T235959"
    settings.bucket.write(pack([Document(id="1", text="x")]), "demo", "raw", "texts", f"{ahead}-abcdef01.jsonl.zst")
    for n in range(5):
        kept = Raw(settings.bucket, "demo", "texts", "file")
        kept.write(kept.unseen([Document(id=f"new {n}", text="x")]), {"n": n})
        assert Raw(settings.bucket, "demo", "texts", "file").cursor() == {"n": n}
    assert pages(settings.bucket) == sorted(pages(settings.bucket))


def test_a_cursor_of_another_kind_counts_for_nothing(texts: Path) -> None:
    _, settings = bot_of(texts)
    Raw(settings.bucket, "demo", "texts", "feed").write([Document(id="1", text="x")], {"last": 1})
    assert Raw(settings.bucket, "demo", "texts", "feed").cursor() == {"last": 1}
    assert Raw(settings.bucket, "demo", "texts", "file").cursor() is None


def test_many_ids_are_known_again(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MERGE", 100)
    _, settings = bot_of(texts)
    many = [Document(id=str(n), text="x") for n in range(1050)]
    kept = Raw(settings.bucket, "demo", "texts", "file")
    assert kept.unseen(many + many[:500]) == many
    kept.write(many, None)
    kept.save_ids()
    again = Raw(settings.bucket, "demo", "texts", "file")
    assert again.unseen(many) == []
    assert again.unseen([Document(id="1050", text="x")]) != []
    index = settings.bucket.read("demo", "raw", "texts", ".ids")
    assert len(index.partition(b"\n")[2]) == 8 * len(many)


def test_two_scrapes_at_once_write_nothing_twice(texts: Path) -> None:
    """On two machines: the one that comes second to write a page gives way, and loses nothing."""
    _, settings = bot_of(texts)
    first, second = (Raw(settings.bucket, "demo", "texts", "file") for _ in range(2))
    documents = [Document(id=str(n), text=str(n)) for n in range(4)]
    first.write(first.unseen(documents[:2]), {"n": 2})
    for seen in (documents[:3], []):
        with pytest.raises(MynahError, match="raw/texts: another scrape of this source is at work: wait for it"):
            second.write(second.unseen(seen), {"n": 3})
    first.write(first.unseen(documents[2:]), {"n": 4})
    assert stored(settings.bucket) == ["0", "1", "2", "3"]
    assert Raw(settings.bucket, "demo", "texts", "file").cursor() == {"n": 4}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_disk_that_fills_in_the_middle_loses_nothing(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "PAGE_DOCUMENTS", 500)
    texts.write_text("\n".join(os.urandom(40).hex() for _ in range(3000)))
    bot, settings = bot_of(texts)
    settings.home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", settings.home], check=True)
    try:
        assert "No space left on device" in scrape(bot, settings).failed["texts"]
        kept = stored(settings.bucket)
        assert 0 < len(kept) < 3000
        subprocess.run(["mount", "-o", "remount,size=4m", settings.home], check=True)
        assert scrape(bot, settings).new == {"texts": 3000 - len(kept)}
        assert stored(settings.bucket) == sorted(texts.read_text().splitlines())
    finally:
        subprocess.run(["umount", settings.home], check=True)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Page | MynahError]:
    """The pages that the source gives next, whatever it is asked."""
    made: list[Page | MynahError] = []

    def give(_source: object, _cursor: Cursor | None, _context: Context) -> Iterator[Page]:
        for page in made:
            if isinstance(page, MynahError):
                raise page
            yield page

    monkeypatch.setattr(file, "scrape", give)
    return made


def test_a_page_is_kept_with_its_cursor_before_the_next_is_asked_for(
    texts: Path, given: list[Page | MynahError]
) -> None:
    bot, settings = bot_of(texts)
    given += [
        Page([Document(id="1", text="one")], {"last": 1}),
        Page([Document(id="1", text="one")], {"last": 2}),  # nothing new
        Page([Document(id="3", text="three")], {"last": 3}),
        MynahError("breaks off"),
    ]
    assert scrape(bot, settings) == Scraped({}, {}, failed={"texts": "breaks off"})
    kept = [unpack_cursor(settings.bucket.read("demo", "raw", "texts", page)) for page in pages(settings.bucket)]
    assert kept == [{"kind": "file", "cursor": {"last": 1}}, {"kind": "file", "cursor": {"last": 3}}]
    assert Raw(settings.bucket, "demo", "texts", "file").cursor() == {"last": 3}
    given[:] = [Page([Document(id=str(n), text="x") for n in range(1, 5)], {"last": 4})]
    assert scrape(bot, settings) == Scraped({"texts": 4}, {"texts": 2})


def test_an_empty_source_is_one_line(texts: Path) -> None:
    texts.write_text(" \n\n")
    assert scrape(*bot_of(texts)).failed == {"texts": f"{texts} holds no text"}


def test_what_fails_does_not_keep_the_rest_from_being_read(
    texts: Path, given: list[Page | MynahError], capsys: pytest.CaptureFixture[str]
) -> None:
    path = texts.with_name("demo.yaml")
    path.write_text("bots: {demo: {sources: {one: {url: a.txt}, gone: {kind: feed, url: /gone}, two: {url: b.txt}}}}")
    given.append(Page([Document(id="1", text="x")], {"n": 1}, problems=("@nobody: suspended", "@bird: protected")))
    done = CliRunner().invoke(verbs.scrape, [str(path), "--json"], env={"MYNAH_HOME": str(texts.with_name("home"))})
    assert str(done.exception) == "bot demo, source gone: /gone: no such file: check the source's url"
    assert json.loads(done.stdout) == {
        "summary": "one: 1 documents, 1 new, 2 problems\ntwo: 1 documents, 1 new, 2 problems\ngone: could not be read",
        "found": {"one": 1, "two": 1},
        "new": {"one": 1, "two": 1},
        "problems": {key: ["@nobody: suspended", "@bird: protected"] for key in ("one", "two")},
        "failed": {"gone": "/gone: no such file: check the source's url"},
    }
    assert done.stderr.splitlines()[0] == "bot demo, source one: @nobody: suspended"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_module_of_its_name(kind: str) -> None:
    assert callable(getattr(__import__(f"scrapers.{kind}", fromlist=["scrape"]), "scrape", None))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls a scrape of 150 texts takes."""
    texts = tmp_path_factory.mktemp("undisturbed") / "texts.txt"
    write(texts, range(150))
    _, settings = bot_of(texts)
    done = killed(texts.with_name("demo.yaml"), {"MYNAH_HOME": str(settings.home)})
    assert len(pages(settings.bucket)) == 8
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(5))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(texts: Path, calls: int, number: int) -> None:
    """Two kills, each at a random call, between which the file changes; then a whole scrape."""
    chance = random.Random(number)
    bot, settings = bot_of(texts)
    for last in (150, 200):
        write(texts, range(last))
        was_killed(texts.with_name("demo.yaml"), {"MYNAH_HOME": str(settings.home)}, chance.randrange(1, calls))
    scrape(bot, settings)
    assert Counter(stored(settings.bucket)) == Counter(f"text number {n}" for n in range(200))
    assert scrape(bot, settings) == Scraped({"texts": 200}, {"texts": 0})


def test_0_2_0_goes_on_from_what_is_kept_and_back_again(texts: Path) -> None:
    """After a rollback, 0.2.0 adds what is new and makes its dataset; upgraded once more, nothing is there twice."""
    rows = [{"id": n, "text": f"this is text number {n}", "likes": n % 3, "is_retweet": n % 5 == 0} for n in range(30)]
    texts = texts.with_suffix(".jsonl")
    path = texts.with_name("demo.yaml")
    fields = "{id: id, text: text, likes: likes, retweet: is_retweet}"
    path.write_text(f"bots: {{demo: {{sources: {{texts: {{url: {texts}, fields: {fields}}}}}}}}}")
    bot, settings = load(path), Settings.read({"MYNAH_HOME": str(texts.with_name("home"))})
    release = texts.with_name("release")
    with zipfile.ZipFile(REPO / "tests/releases/mynah-0.2.0-py3-none-any.whl") as wheel:
        wheel.extractall(release)

    def rows_in_file(end: int) -> None:
        texts.write_text("\n".join(json.dumps(row) for row in rows[:end]))

    def mynah_0_2_0(verb: str) -> dict[str, dict[str, int]]:
        env = {"PATH": os.environ["PATH"], "MYNAH_HOME": str(settings.home), "PYTHONPATH": str(release)}
        command = [sys.executable, "-m", "mynah", verb, str(path), "--json"]
        done = subprocess.run(command, cwd=release, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, dict[str, int]] = json.loads(done.stdout)
        return result

    rows_in_file(10)
    assert scrape(bot, settings).new == {"texts": 10}
    assert mynah_0_2_0("scrape")["new"] == {"texts": 0}
    rows_in_file(20)
    assert mynah_0_2_0("scrape")["new"] == {"texts": 10}
    assert mynah_0_2_0("dataset")["counts"]["documents"] == 20
    rows_in_file(30)
    assert scrape(bot, settings) == Scraped({"texts": 30}, {"texts": 10})
    assert len(stored(settings.bucket)) == len(set(stored(settings.bucket))) == 30
    assert mynah_0_2_0("dataset")["counts"]["dropped"] == {"retweet": 6}
