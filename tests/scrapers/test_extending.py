"""A new kind of source, written as CONTRIBUTING.md says: its section, its module and a line of the table."""

import importlib
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

import mynah.bot.sources
import scrapers
from mynah.bot.reference import reference
from mynah.bot.sources import KINDS
from mynah.bucket import Bucket
from mynah.document import unpack
from scrapers.verbs import scrape
from tests.kinds import added
from tests.loopback import served_by

# mynah/bot/sources/guestbook.py
SECTION = '''\
"""The source `guestbook`."""

from typing import Literal

from mynah.bot.sources.source import Source


class GuestbookSource(Source):
    """A guestbook that answers in JSON, oldest entries first."""

    kind: Literal["guestbook"]
    """What sort of source this is."""
    url: str
    """Where its entries are."""
'''

# scrapers/guestbook.py
MODULE = '''\
"""The guestbook source: entries, asked for from the last one on."""

import json
from collections.abc import Iterator

from mynah.bot.sources.guestbook import GuestbookSource
from mynah.document import Document
from scrapers.fetch import fetch
from scrapers.page import Context, Cursor, Page


def scrape(source: GuestbookSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The entries after the cursor's."""
    last = cursor["last"] if cursor else 0
    while entries := json.loads(fetch(f"{source.url}?after={last}", context.settings.allow_private).body or b"[]"):
        last = entries[-1]["id"]
        yield Page([Document(id=str(entry["id"]), text=entry["text"]) for entry in entries], {"last": last})
'''

# The import and the line of KINDS in mynah/bot/sources/__init__.py
LINES = """\
from mynah.bot.sources.guestbook import GuestbookSource
    "guestbook": GuestbookSource,
"""


class Guestbook(BaseHTTPRequestHandler):
    """Ten entries per answer, those after the one that is named."""

    entries: list[dict[str, Any]]
    asked: list[int]

    def do_GET(self) -> None:
        after = int(parse_qs(urlsplit(self.path).query)["after"][0])
        self.asked.append(after)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps([entry for entry in self.entries if entry["id"] > after][:10]).encode())

    def log_message(self, *_: object) -> None: ...


def entry(number: int) -> dict[str, Any]:
    return {"id": number, "text": f"visitor number {number} was here"}


@pytest.fixture
def guestbook() -> Iterator[str]:
    Guestbook.entries, Guestbook.asked = [entry(n) for n in range(1, 26)], []
    with served_by(Guestbook) as url:
        yield f"{url}/"


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two modules in their packages, and the line in the table."""
    for package, text in ((mynah.bot.sources, SECTION), (scrapers, MODULE)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "guestbook.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        # Noted before they are imported, so that they are forgotten at the end.
        monkeypatch.setitem(sys.modules, f"{package.__name__}.guestbook", cast(Any, None))
        monkeypatch.delitem(sys.modules, f"{package.__name__}.guestbook")
    section = importlib.import_module("mynah.bot.sources.guestbook").GuestbookSource
    with added(KINDS, "guestbook", section):
        yield


def test_it_takes_less_than_40_lines() -> None:
    assert len((SECTION + MODULE + LINES).splitlines()) < 40


@pytest.mark.usefixtures("kind")
def test_it_is_scraped_and_gone_on_with(tmp_path: Path, guestbook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = tmp_path / "demo.yaml"
    bot.write_text(f"bots: {{demo: {{sources: {{visits: {{kind: guestbook, url: '{guestbook}'}}}}}}}}")
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MYNAH_ALLOW_PRIVATE", "1")

    def mynah_scrape() -> dict[str, Any]:
        done = CliRunner().invoke(scrape, [str(bot), "--json"], catch_exceptions=False)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    assert mynah_scrape() == {
        "summary": "visits: 25 documents, 25 new",
        "found": {"visits": 25},
        "new": {"visits": 25},
        "problems": {},
        "failed": {},
    }
    Guestbook.entries.append(entry(26))
    Guestbook.asked.clear()
    assert mynah_scrape()["new"] == {"visits": 1}
    assert Guestbook.asked == [25, 26]

    bucket = Bucket(str(tmp_path / "home/bucket"))
    pages = [[*unpack(bucket.read("demo", "raw", "visits", name))] for name in bucket.names("demo", "raw", "visits")]
    assert [len(page) for page in pages] == [10, 10, 5, 1]
    assert [document.id for page in pages for document in page] == [str(n) for n in range(1, 27)]


@pytest.mark.usefixtures("kind")
def test_the_reference_has_it() -> None:
    assert "Where its entries are." in reference()
