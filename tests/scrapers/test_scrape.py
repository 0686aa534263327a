"""Scraping into the bucket."""

from pathlib import Path

import pytest

from mynah.bot import load
from mynah.bucket import Bucket
from mynah.errors import MynahError
from scrapers import scrape as scraping
from scrapers.scrape import scrape, stored


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"text number {n}" for n in range(25)))
    return path


def bot_of(tmp_path: Path, texts: Path) -> tuple:
    file = tmp_path / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{texts: {{url: {texts}}}}}}}}}")
    return load(file), Bucket(str(tmp_path / "bucket"))


def test_a_second_scrape_adds_only_what_is_new(tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "FILE_DOCUMENTS", 10)
    bot, bucket = bot_of(tmp_path, texts)
    assert scrape(bot, bucket).new == {"texts": 25}
    assert len(bucket.names("demo", "raw", "texts")) == 3
    assert scrape(bot, bucket).new == {"texts": 0}
    texts.write_text("a new one\ntext number 3\na new one\n")
    assert scrape(bot, bucket).new == {"texts": 1}
    assert len(list(stored(bucket, "demo", "texts"))) == 26


def test_a_scrape_that_broke_off_is_gone_on_with(tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "FILE_DOCUMENTS", 10)
    bot, bucket = bot_of(tmp_path, texts)
    scrape(bot, bucket)
    last = bucket.names("demo", "raw", "texts")[-1]
    Path(bucket.path("demo", "raw", "texts", last)).unlink()
    again = scrape(bot, bucket)
    assert 0 < again.new["texts"] <= 10
    assert len({document.id for document in stored(bucket, "demo", "texts")}) == 25


def test_an_empty_source_is_one_line(tmp_path: Path, texts: Path) -> None:
    texts.write_text(" \n\n")
    with pytest.raises(MynahError, match="bot demo, source texts: .*texts.txt holds no text"):
        scrape(*bot_of(tmp_path, texts))
