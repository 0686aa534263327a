"""The mastodon source, through the real client library, from a stand-in that answers as a Mastodon server does."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mynah.bot import Bot, load
from mynah.document import Document, unpack
from mynah.errors import UsageError
from mynah.settings import Settings
from scrapers import api, mastodon
from scrapers.scrape import Scraped, scrape
from tests.loopback import served_by
from tests.scrapers.kill import killed, rounds, was_killed

ANA, BOB = "ana@birds.example", "bob@birds.example"
Asked = tuple[str, str]  # an account's id, and before which post


class Instance:
    """Accounts by their names, their posts by id, and how they were asked for."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}
        self.posts: dict[str, dict[int, dict[str, Any]]] = {}
        self.asked: list[Asked] = []
        self.failing: dict[Asked, list[tuple[int, dict[str, str], bytes]]] = {}
        self.lookup: tuple[int, dict[str, str], bytes] | None = None

    def join(self, name: str, id: str) -> None:
        self.accounts[name] = {"id": id, "acct": name.partition("@")[0]}
        self.posts[id] = {}

    def post(self, id: str, *numbers: int, **more: Any) -> None:
        for number in numbers:
            self.posts[id][number] = {
                "id": str(number),
                "uri": f"https://birds.example/{id}/{number}",
                "created_at": f"2026-03-{number % 28 + 1:02}T08:00:00.000Z",
                "content": f"<p>Post {number} &amp; more</p><p>of it</p>",
                "favourites_count": 3,
                "replies_count": 0,
                "reblogs_count": 1,
                "account": {"id": id},
                **more,
            }

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        if path == "/api/v1/accounts/lookup":
            account = self.accounts.get(query["acct"][0])
            if self.lookup:
                return self.lookup
            return (200, {}, json.dumps(account).encode()) if account else (404, {}, b'{"error":"Record not found"}')
        id = path.split("/")[4]
        asked = (id, query.get("max_id", [""])[0])
        self.asked.append(asked)
        if failing := self.failing.get(asked):
            return failing.pop()
        older = [n for n in sorted(self.posts[id], reverse=True) if not asked[1] or n < int(asked[1])]
        return 200, {}, json.dumps([self.posts[id][n] for n in older[: int(query["limit"][0])]]).encode()


@pytest.fixture
def instance() -> Instance:
    made = Instance()
    made.join(ANA, "1")
    made.join(BOB, "22")
    return made


@pytest.fixture
def url(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            status, headers, body = instance.answer(where.path, parse_qs(where.query))
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(mastodon, "PAUSE", 0)
    monkeypatch.setattr(mastodon, "PAGE", 5)
    monkeypatch.setattr(api, "BACK_OFF", (0, 0))
    with served_by(Api) as url:
        yield url


def environment(folder: Path, url: str) -> dict[str, str]:
    return {"MYNAH_HOME": str(folder / "home"), "MYNAH_ALLOW_PRIVATE": "1", "MASTODON_URL": url}


def bot_of(folder: Path, url: str, accounts: str = ANA, more: str = "") -> tuple[Bot, Settings]:
    file = folder / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{posts: {{kind: mastodon, accounts: [{accounts}]{more}}}}}}}}}")
    return load(file), Settings.read(environment(folder, url))


def stored(settings: Settings) -> list[Document]:
    pages = settings.bucket.names("demo", "raw", "posts")
    return [found for page in pages for found in unpack(settings.bucket.read("demo", "raw", "posts", page))]


def numbers(settings: Settings, id: str = "1") -> list[int]:
    kept = (document.id.split("/")[-2:] for document in stored(settings))
    return sorted(int(number) for account, number in kept if account == id)


def test_the_whole_history_and_then_what_is_new(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", *range(95, 107))
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings) == Scraped({"posts": 12}, {"posts": 12})
    assert instance.asked == [("1", ""), ("1", "102"), ("1", "97"), ("1", "95")]
    instance.asked.clear()
    instance.post("1", 107)
    assert scrape(bot, settings) == Scraped({"posts": 1}, {"posts": 1})
    assert instance.asked == [("1", "95"), ("1", "")]  # the empty page is asked once more, and was the end
    assert scrape(bot, settings) == Scraped({"posts": 0}, {"posts": 0})
    assert instance.asked[2:] == [("1", "")]
    assert numbers(settings) == [*range(95, 108)]


def test_a_post_and_a_boost(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", 7, content='<p>See <a href="#"><span class="invisible">https://</span>a.b/c</a><br>&lt;3</p>')
    theirs = {"content": "<p>theirs</p>", "favourites_count": 9, "replies_count": 8, "reblogs_count": 7}
    instance.post("1", 8, content="", reblog=theirs, favourites_count=0)
    instance.post("1", 9, content="")  # a picture
    bot, settings = bot_of(tmp_path, url)
    scrape(bot, settings)
    assert stored(settings) == [
        Document(
            id="https://birds.example/1/8",
            text="theirs",
            author=ANA,
            created_at="2026-03-09T08:00:00+00:00",
            numbers={"likes": 9, "replies": 8, "boosts": 7},
            repost=True,
        ),
        Document(
            id="https://birds.example/1/7",
            text="See https://a.b/c\n<3",
            author=ANA,
            created_at="2026-03-08T08:00:00+00:00",
            numbers={"likes": 3, "replies": 0, "boosts": 1},
        ),
    ]


def test_what_is_not_wanted_is_left_out(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", *range(1, 20))
    instance.post("1", 12, in_reply_to_account_id="22")
    instance.post("1", 13, in_reply_to_account_id="1")
    instance.post("1", 14, reblog={"content": "theirs"})
    bot, settings = bot_of(tmp_path, url, more=", boosts: false, replies: false, since: 2026-03-10")
    scrape(bot, settings)
    assert numbers(settings) == [9, 10, 11, 13, 15, 16, 17, 18, 19]
    assert instance.asked[-1] == ("1", "10")  # that page reaches back beyond the day


def test_the_first_scrape_goes_back_as_far_as_asked(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", *range(1, 100))
    bot, settings = bot_of(tmp_path, url, more=", limit: 8")
    scrape(bot, settings)
    assert numbers(settings) == [*range(90, 100)]
    instance.post("1", *range(100, 120))
    scrape(bot, settings)
    assert numbers(settings) == [*range(90, 120)]


def test_an_account_that_cannot_be_read_does_not_keep_the_others_from_it(
    tmp_path: Path, url: str, instance: Instance
) -> None:
    instance.post("22", *range(1, 8))
    del instance.accounts[ANA]
    said = scrape(*bot_of(tmp_path, url, f"{ANA}, {BOB}"))
    assert said.new == {"posts": 7}
    assert said.problems == {"posts": [f"{ANA}: {url} knows no such account: it was renamed or deleted"]}
    alone = scrape(*bot_of(tmp_path, url, ANA))
    assert alone.failed == {"posts": f"{ANA}: {url} knows no such account: it was renamed or deleted"}


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (401, b'{"error":"login"}', "answers 401 Unauthorized: it shows nothing without a login"),
        (410, b"", "answers 410 Gone: the account was suspended or deleted"),
        (503, b"<h1>down</h1>", "answers 503 Service Unavailable"),
        (429, b"{}", "wants to be left alone (Hit rate limit.): try again later"),
        (200, b"<h1>parked</h1>", "does not answer as Mastodon does: check the account's instance"),
        (200, b"[]", "does not answer as Mastodon does: check the account's instance"),
    ],
)
def test_what_a_server_answers_is_one_line(
    tmp_path: Path, url: str, instance: Instance, status: int, body: bytes, wanted: str
) -> None:
    instance.lookup = (status, {}, body)
    assert scrape(*bot_of(tmp_path, url)).failed == {"posts": f"{ANA}: {url} {wanted}"}


def test_a_private_address_is_not_asked(tmp_path: Path, url: str, instance: Instance) -> None:
    bot, settings = bot_of(tmp_path, url)
    settings = Settings.read({**environment(tmp_path, url), "MYNAH_ALLOW_PRIVATE": ""})
    assert "leads to the private address 127.0.0.1" in scrape(bot, settings).failed["posts"]


def test_an_account_that_moved_or_lost_its_posts_is_said(
    tmp_path: Path, url: str, instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.post("1", 7)
    bot, settings = bot_of(tmp_path, url)
    scrape(bot, settings)
    instance.posts["1"].clear()
    instance.accounts[ANA] |= {"moved": {"url": "https://trees.example/@ana"}}
    said = scrape(bot, settings)
    assert (
        capsys.readouterr().err
        == f"bot demo, source posts: {ANA}: moved to https://trees.example/@ana: name that one too\n"
    )
    assert said.failed == {
        "posts": f"{ANA}: gave posts before, and gives none now: look at it; it is asked again next time"
    }


def test_a_limit_is_waited_for_until_its_end(
    tmp_path: Path, url: str, instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    reset = datetime.fromtimestamp(time.time() + 200, UTC).isoformat().replace("+00:00", "Z")
    instance.post("1", *range(1, 8))
    instance.failing["1", "3"] = [(429, {"X-RateLimit-Reset": reset, "X-RateLimit-Remaining": "0"}, b"{}")]
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings).new == {"posts": 7}
    assert 150 < max(waits) <= 200
    assert "127.0.0.1 answers 429: asking it again in" in capsys.readouterr().err


def test_a_page_that_came_back_empty_is_asked_again_next_time(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", *range(1, 30))
    instance.failing["1", "20"] = [(200, {}, b"[]")]
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings).new == {"posts": 10}
    instance.post("1", 30)
    instance.asked.clear()
    assert scrape(bot, settings).new == {"posts": 20}
    assert instance.asked[0] == ("1", "20")
    assert numbers(settings) == [*range(1, 31)]


def test_it_begins_where_it_stopped(tmp_path: Path, url: str, instance: Instance) -> None:
    instance.post("1", *range(1, 8))
    instance.post("22", *range(1, 30))
    bot, settings = bot_of(tmp_path, url, f"{ANA}, {BOB}")
    instance.failing["22", "20"] = [(200, {}, b"no JSON")]
    assert scrape(bot, settings).problems["posts"] == [
        f"{BOB}: {url} does not answer as Mastodon does: check the account's instance"
    ]
    instance.asked.clear()
    assert scrape(bot, settings).new == {"posts": 19}
    assert instance.asked[0] == ("22", "20")
    assert numbers(settings, "22") == [*range(1, 30)]


@pytest.mark.parametrize("name", [ANA, f"@{ANA.upper()}", "https://birds.example/@ana", "https://birds.example/@Ana/"])
def test_an_account_by_its_name_or_address(tmp_path: Path, name: str) -> None:
    assert bot_of(tmp_path, "", f"'{name}'")[0].sources["posts"].model_dump()["accounts"] == [ANA]


@pytest.mark.parametrize("name", ["", "ana", "ana@", "ana@localhost", "ana@a.b/c", "ana@a.b?x", "a na@a.b", "a@b@c.d"])
def test_what_names_no_account_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"demo\.yaml:1: .*names no account"):
        bot_of(tmp_path, "", f"'{name}'")


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(5))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(
    tmp_path: Path, url: str, instance: Instance, number: int
) -> None:
    """Kills at random calls; meanwhile there are new posts. No page is asked for twice once it is kept."""
    chance = random.Random(number)
    instance.post("1", *range(1, 43))
    instance.post("22", *range(1, 18))
    (tmp_path / "whole").mkdir()
    bot_of(tmp_path / "whole", url, f"{ANA}, {BOB}")
    calls = int(killed(tmp_path / "whole/demo.yaml", environment(tmp_path / "whole", url)).stdout)
    instance.asked.clear()
    bot, settings = bot_of(tmp_path, url, f"{ANA}, {BOB}")
    kills = 0
    for last in (43, 51):
        instance.post("1", *range(43, last))
        kills += was_killed(tmp_path / "demo.yaml", environment(tmp_path, url), chance.randrange(calls // 10, calls))
    scrape(bot, settings)
    assert (numbers(settings), numbers(settings, "22")) == ([*range(1, 51)], [*range(1, 18)])
    # The last page, which is empty, is asked for twice on purpose.
    older = Counter((id, before) for id, before in instance.asked if before not in ("", "1"))
    assert sum(older.values()) - len(older) <= kills
