"""The feed source: RSS and Atom, from real servers, broken in the ways that feeds are."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from mynah.bot import load
from mynah.bot.sources.feed import FeedSource
from mynah.bucket import Bucket
from mynah.document import Document, unpack
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.feed import read_documents
from scrapers.scrape import Scraped, scrape
from scrapers.verbs import scrape as verb
from tests.loopback import served_by

RSS = """\
<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>The stars</title>
<item><guid>aries</guid><title>Aries &amp; you</title><pubDate>Mon, 02 Mar 2026 10:00:00 GMT</pubDate>
  <author>Stella</author><description>In short.</description>
  <content:encoded><![CDATA[<p>Today is <b>good</b>.</p><p>Tomorrow&nbsp;too.<br/>Perhaps.</p>]]></content:encoded>
</item>
<item><link>http://stars.example/taurus</link><title>Taurus</title>
  <description>&lt;i&gt;Stay&lt;/i&gt; in bed.</description></item>
<item><title>Gemini: 1 &lt; 2</title></item>
<item><description/></item>
</channel></rss>"""
ATOM = """\
<feed xmlns="http://www.w3.org/2005/Atom"><title>Посты</title>
<entry><id>urn:1</id><title type="html">A &amp;amp; B</title><author><name>Хранитель</name></author>
  <updated>2026-01-01T00:00:00Z</updated>
  <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">раз<br/>два</div></content></entry>
<entry><id>urn:2</id><title>C</title><summary type="text">1 &lt; 2 &amp; 3</summary></entry>
</feed>"""


def source(text: str = "auto") -> FeedSource:
    return FeedSource.model_validate({"kind": "feed", "url": "feed.xml", "text": text})


def texts(data: str | bytes, part: str = "auto") -> list[str]:
    return [
        document.text for document in read_documents(data.encode() if isinstance(data, str) else data, source(part))
    ]


def test_rss() -> None:
    first, second, third = read_documents(RSS.encode(), source())
    assert first == Document(
        id="aries",
        text="Today is good.\n\nTomorrow\xa0too.\nPerhaps.",
        author="Stella",
        created_at="Mon, 02 Mar 2026 10:00:00 GMT",
    )
    assert (second.id, second.text) == ("http://stars.example/taurus", "Stay in bed.")
    assert third.text == "Gemini: 1 < 2"


def test_atom() -> None:
    first, second = read_documents(ATOM.encode(), source())
    assert first == Document(id="urn:1", text="раз\nдва", author="Хранитель", created_at="2026-01-01T00:00:00Z")
    assert second.text == "1 < 2 & 3"


@pytest.mark.parametrize(
    ("part", "want"),
    [
        ("title", ["Aries & you", "Taurus", "Gemini: 1 < 2"]),
        ("summary", ["In short.", "Stay in bed."]),
        ("content", ["Today is good.\n\nTomorrow\xa0too.\nPerhaps."]),
    ],
)
def test_one_part_of_each_entry(part: str, want: list[str]) -> None:
    assert texts(RSS, part) == want


def test_a_feed_in_another_encoding() -> None:
    text = "<?xml version='1.0' encoding='windows-1251'?><rss version='2.0'><channel><item><title>тред</title></item>"
    assert texts(f"{text}</channel></rss>".encode("cp1251")) == ["тред"]


@pytest.mark.parametrize(
    "data",
    [
        "<rss version='2.0'><channel><item><title>a & b</title></item></channel></rss>",
        "<rss version='2.0'><channel><item><title>a &amp; b</title></item><item><title>cut of",
        "  <rss version='2.0'><channel><item><title>a &amp; b</title></item></channel></rss>",
    ],
)
def test_a_broken_feed_gives_what_is_whole(data: str) -> None:
    assert texts(data) == ["a & b"]


def test_nothing_outside_of_the_feed_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the password")
    text = f"<!DOCTYPE x [<!ENTITY e SYSTEM '{secret.as_uri()}'>]><rss version='2.0'><channel><item><title>is &e;"
    assert "password" not in str(texts(f"{text}</title></item></channel></rss>"))
    tenfold = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(9))
    bomb = f"<!DOCTYPE x [<!ENTITY a0 'ha'>{tenfold}]><rss version='2.0'><channel><item><title>&a9;"
    assert len(str(texts(f"{bomb}</title></item></channel></rss>"))) < 10_000


@pytest.mark.parametrize("data", [b"", b"<html><body>Not found</body></html>", b"{}", b"\xff\xfe\0", b"\x1f\x8b\0\0"])
def test_what_is_no_feed_is_one_line(data: bytes) -> None:
    with pytest.raises(MynahError, match=r"^feed\.xml: is no RSS or Atom feed") as caught:
        read_documents(data, source())
    assert "\n" not in str(caught.value)


def test_a_feed_without_entries_is_a_feed() -> None:
    assert texts("<rss version='2.0'><channel><title>t</title></channel></rss>") == []


class Site(BaseHTTPRequestHandler):
    """A feed that grows, and notes how it was asked for."""

    entries = 2
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        changed = f"Mon, 02 Mar 2026 10:00:{self.entries:02} GMT"
        self.asked.append(self.headers["If-Modified-Since"])
        same = self.asked[-1] == changed
        items = "".join(f"<item><guid>{n}</guid><title>entry {n}</title></item>" for n in range(self.entries))
        body = b"" if same else f"<rss version='2.0'><channel>{items}</channel></rss>".encode()
        self.send_response(304 if same else 200)
        self.send_header("Last-Modified", changed)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    with served_by(Site) as url:
        yield f"{url}/feed"


def test_a_server_sends_a_feed_once_and_what_is_new_is_kept_once(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "asked", [])
    file = tmp_path / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{stars: {{kind: feed, url: '{site}'}}}}}}}}")
    bot = load(file)
    settings = Settings.read({"MYNAH_HOME": str(tmp_path / "home"), "MYNAH_ALLOW_PRIVATE": "1"})
    assert scrape(bot, settings) == Scraped({"stars": 2}, {"stars": 2})
    assert scrape(bot, settings) == Scraped({"stars": 2}, {"stars": 0})
    monkeypatch.setattr(Site, "entries", 3)
    assert scrape(bot, settings) == Scraped({"stars": 3}, {"stars": 1})
    assert Site.asked == [None, "Mon, 02 Mar 2026 10:00:02 GMT", "Mon, 02 Mar 2026 10:00:02 GMT"]
    assert stored(settings.bucket) == ["entry 0", "entry 1", "entry 2"]
    file.write_text(file.read_text().replace("kind: feed", "kind: feed, text: title"))
    assert scrape(load(file), settings) == Scraped({"stars": 3}, {"stars": 0})
    assert Site.asked[-1] is None  # the source says otherwise what to read: it is read again


def stored(bucket: Bucket) -> list[str]:
    return sorted(
        document.text
        for page in bucket.names("demo", "raw", "stars")
        for document in unpack(bucket.read("demo", "raw", "stars", page))
    )


def test_a_mistake_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    file = tmp_path / "demo.yaml"
    file.write_text("bots: {demo: {sources: {stars: {kind: feed, url: no-such.xml}}}}")
    result = CliRunner().invoke(verb, [str(file)])
    assert isinstance(result.exception, MynahError)
    assert str(result.exception).startswith("bot demo, source stars: no-such.xml: no such file")
