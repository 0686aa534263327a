"""The account on Mastodon, by the real Mastodon.py: to the simulator, and to a server that a test tells what to say."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.accounts import Posted, Refused, Shown, Unavailable, Unknown, open_account
from jobs.accounts.mastodon import MastodonAccount
from jobs.accounts.mastodon.text import same_text
from mynah import bot as bot_file
from mynah.bot import Bot, FileSource
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from mynah.journal import opened
from mynah.settings import Settings
from simulators.mastodon.api import DEMO_TOKEN, application
from simulators.mastodon.entities import content
from tests.answering import Scripted
from tests.loopback import app_served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with opened(tmp_path / "mastodon.jsonl") as journal, app_served(application(journal)) as url:
        yield url


@pytest.fixture
def account(server: str) -> MastodonAccount:
    return MastodonAccount(server, DEMO_TOKEN)


def claimed(account: MastodonAccount, row: Post, text: str | None = None) -> Post:
    """The row as the poster hands it over: with its record."""
    return replace(row, text=text or row.text, record=account.record(row))


def all_posts(account: MastodonAccount, size: int = 40, after: str | None = None) -> list[Shown]:
    shown, cursor, more = [], None, True
    while more:
        page = account.own_posts(datetime.now(UTC) - timedelta(days=1), after, size, cursor)
        shown += page.shown
        cursor, more = page.cursor, page.cursor is not None
    return shown


def test_posts_and_reads_back(account: MastodonAccount, server: str, row: Post) -> None:
    outcome = account.post(claimed(account, row))
    assert isinstance(outcome, Posted)
    (shown,) = all_posts(account)
    assert (shown.published, shown.text.strip()) == (outcome.published, row.text)
    assert account.same(row, shown) is True
    assert account.same(replace(row, text=row.text + "!"), shown) is False
    assert shown.numbers == {"likes": 0, "reposts": 0, "replies": 0, "quotes": 0}
    assert "To be &amp; to see, &lt;not&gt;" in httpx.get(outcome.published.url, follow_redirects=True).text
    assert account.name == f"Mastodon at {server}"


def test_the_same_key_is_the_same_post(account: MastodonAccount, row: Post) -> None:
    first = claimed(account, row)
    assert account.record(first) == first.record != account.record(row)
    assert account.post(first) == account.post(first)
    assert len(all_posts(account)) == 1


def test_pages_of_its_posts(account: MastodonAccount, row: Post) -> None:
    ids = []
    for number in range(9):
        outcome = account.post(claimed(account, row, f"number {number}"))
        assert isinstance(outcome, Posted)
        ids.append(outcome.published.id)
    assert [shown.published.id for shown in all_posts(account, 2)] == ids[::-1]
    assert [shown.published.id for shown in all_posts(account, 2, after=ids[3])] == ids[:3:-1]
    page = account.own_posts(datetime.now(UTC) + timedelta(hours=1), None, 2, None)
    assert page.cursor is None  # the last of the page is older than what is asked for


def test_visibility_and_language(server: str, row: Post) -> None:
    account = MastodonAccount(server, DEMO_TOKEN, visibility="unlisted", language="ru")
    account.post(claimed(account, row))
    status = httpx.get(server + "/api/v1/statuses/" + all_posts(account)[0].published.id, headers=bearer()).json()
    assert (status["visibility"], status["language"]) == ("unlisted", "ru")


def bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {DEMO_TOKEN}"}


TEXTS = [
    "  ends in white space \n",
    "two\n\nparagraphs\nand a line",
    "a literal &amp; and a & beside <b>",
    "e\u0301 decomposed",
    "see https://www.example.com/a-very-long-path-to-show?b=c&d=e, and example.org",
    "#tags and @anna@example.social, and @mynah_demo",
    "😀👍🏽 “quoted” 'single' \"double\"",
    "a.b*c+(d)[e] 5 < 6 > 4",
]


@pytest.mark.parametrize("text", TEXTS)
def test_finds_what_mastodon_shows_otherwise(account: MastodonAccount, row: Post, text: str) -> None:
    account.post(claimed(account, row, text))
    (shown,) = all_posts(account)
    assert account.same(replace(row, text=text), shown) is True
    assert account.same(replace(row, text=text.strip() + " more"), shown) is False


def test_texts_that_differ_in_their_links_alone_are_for_a_person() -> None:
    html = content("https://m.example", "look at https://example.com/one")
    assert same_text("look at https://example.com/one", html) is True
    assert same_text("look at https://example.com/two", html) is None
    assert same_text("look there", html) is False
    html = content("https://m.example", "one (https://example.com/one), @anna@m.example")
    assert same_text("one (https://example.com/two), @anna@other.example", html) is None
    shortened = '<p>look at <a href="https://example.com/one?a=b&amp;c=d">example.com/…</a></p>'
    assert same_text("look at https://example.com/one?a=b&c=d", shortened) is True


def status(**more: Any) -> dict[str, Any]:
    return {"id": "5", "url": "https://m.example/@a/5", "uri": "https://m.example/5", "content": "<p>a</p>", **more}


@pytest.mark.parametrize(
    ("answer", "outcome", "says"),
    [
        ((200, status()), Posted, ""),
        # A status that was made, and answered otherwise: the library raises for these what it raises for a 422.
        ((200, b"<h1>It works</h1>"), Unknown, "200"),
        ((200, b""), Unknown, "200"),
        ((200, b'{"id": "5", "con'), Unknown, "200"),
        ((200, {"error": "what?"}), Unknown, "200"),
        ((200, [1]), Unknown, "200"),
        ((200, status(), {"x-ratelimit-remaining": "9", "x-ratelimit-reset": "never"}), Unknown, "200"),
        (None, Unknown, "the answer was lost"),
        ((500, {"error": "Internal"}), Unknown, "500: Internal"),
        ((503, b"<h1>503</h1>"), Unknown, "503"),
        ((504, b""), Unknown, "504"),
        ((408, b""), Unknown, "408"),
        ((422, {"error": "Validation failed: Text character limit of 500 exceeded"}), Refused, "limit of 500"),
        ((400, {"error": "Bad Request: status too long"}), Refused, "too long"),
        ((401, {"error": "The access token is invalid"}), Unavailable, "check MASTODON_ACCESS_TOKEN"),
        ((403, {"error": "This action is outside the authorized scopes"}), Unavailable, "may write statuses"),
        ((404, b"<h1>nothing here</h1>"), Unavailable, "check the account's server"),
        ((302, b"", {"location": "https://evil.example/"}), Unavailable, "sends us to https://evil.example/"),
    ],
)
def test_what_the_server_answers(scripted: Scripted, row: Post, answer: Any, outcome: type, says: str) -> None:
    scripted.answer = lambda method, path: answer
    account = MastodonAccount(scripted.host, "t")
    got = account.post(claimed(account, row))
    assert isinstance(got, outcome), got
    assert says in getattr(got, "reason", "")
    assert scripted.asked == ["POST /api/v1/statuses"]  # once, wherever it is sent


def test_the_limit_says_until_when(scripted: Scripted, row: Post) -> None:
    reset = datetime.fromtimestamp(int(time.time()) + 200, UTC)
    said = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset.isoformat().replace("+00:00", "Z")}
    scripted.answer = lambda method, path: (429, {"error": "Too many requests"}, said)
    account = MastodonAccount(scripted.host, "t")
    got = account.post(claimed(account, row))
    assert isinstance(got, Unavailable)
    assert got.until
    assert abs(got.until - reset) < timedelta(seconds=3)
    assert len(scripted.asked) == 1


def test_no_connection_is_no_doubt(row: Post) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    account = MastodonAccount(f"http://127.0.0.1:{port}", "t")
    assert isinstance(account.post(claimed(account, row)), Unavailable)


@pytest.mark.parametrize(
    "answer", [None, (503, b""), (200, b"<h1>"), (200, {"error": "x"}), (200, [{"id": "1"}]), (302, b"")]
)
def test_what_cannot_be_read_is_no_answer(scripted: Scripted, answer: Any) -> None:
    me = {"id": "7", "username": "a"}
    scripted.answer = lambda method, path: (200, me) if path.endswith("verify_credentials") else answer
    with pytest.raises(MynahError, match="does not tell what this account has posted"):
        MastodonAccount(scripted.host, "t").own_posts(datetime.now(UTC), None, 5, None)
    scripted.answer = lambda method, path: answer
    with pytest.raises(MynahError, match="does not tell what this account has posted"):
        MastodonAccount(scripted.host, "t").own_posts(datetime.now(UTC), None, 5, None)


def test_how_long_a_text_may_be(scripted: Scripted) -> None:
    said = {"configuration": {"statuses": {"max_characters": 1000, "characters_reserved_per_url": 30}}}
    scripted.answer = lambda method, path: (200, said)
    account = MastodonAccount(scripted.host, "t")
    assert account.long("👨‍👩‍👧‍👦" * 500) is None
    assert scripted.asked == []
    assert account.long("a" * 1000) is None
    assert account.long("a" * 969 + " https://example.com/" + "b" * 99) is None
    rejected = account.long("a" * 970 + " https://example.com/")
    assert rejected
    assert "it has 1001 of at most 1000 characters" in rejected.words
    assert scripted.asked == ["GET /api/v2/instance"]
    scripted.answer = lambda method, path: (503, b"")
    with pytest.raises(MynahError):
        MastodonAccount(scripted.host, "t").long("a" * 501)


def test_its_settings(tmp_path: Path) -> None:
    def opened_with(section: dict[str, Any], **env: str) -> Any:
        sections = {"m": bot_file.MastodonAccount.model_validate({"kind": "mastodon", **section})}
        bot = Bot(name="demo", sources={"none": FileSource(url="none.txt")}, accounts=sections)
        return open_account(bot, "m", Settings.read({"MYNAH_HOME": str(tmp_path), **env}))

    with pytest.raises(UsageError, match="has no access token: set MASTODON_ACCESS_TOKEN"):
        opened_with({})
    with pytest.raises(UsageError, match="has no server: write its key `server`, or set NEWS_MASTODON_SERVER"):
        opened_with({"env": "NEWS_"}, NEWS_MASTODON_ACCESS_TOKEN="t")
    with pytest.raises(UsageError, match="MASTODON_SERVER=m.example: write a server's address"):
        opened_with({}, MASTODON_ACCESS_TOKEN="t", MASTODON_SERVER="m.example")
    account = opened_with({"server": "https://m.example/", "settle_minutes": 2}, MASTODON_ACCESS_TOKEN="t")
    assert (account.name, account.settle) == ("Mastodon at https://m.example", timedelta(minutes=2))
    with pytest.raises(ValueError, match="not a server's address"):
        opened_with({"server": "m.example"}, MASTODON_ACCESS_TOKEN="t")
