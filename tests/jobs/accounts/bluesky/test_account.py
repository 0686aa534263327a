"""The account on Bluesky: to Bluesky's own server, and to a server that answers what a test says."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.accounts import Page, Posted, Refused, Unavailable, Unknown, open_account
from jobs.accounts.bluesky import BlueskyAccount
from jobs.accounts.bluesky.session import Sessions
from mynah import bot as bot_file
from mynah.bot import Bot, FileSource
from mynah.database.connection import Connection, connect
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings
from tests.answering import Scripted
from tests.bluesky import PASSWORD, new_account, records
from tests.jobs.accounts.bluesky.test_session import session


@pytest.fixture
def open_at(database_url: str, tmp_path: Path) -> Callable[..., BlueskyAccount]:
    def open_at(server: str, handle: str = "a.test", password: str = PASSWORD, **how: Any) -> BlueskyAccount:
        sessions = Sessions(server, handle, password, "BLUESKY_APP_PASSWORD", lambda: connect(database_url, tmp_path))
        return BlueskyAccount(sessions, server, handle, **how)

    return open_at


@pytest.fixture
def account(bluesky: str, open_at: Callable[..., BlueskyAccount], request: pytest.FixtureRequest) -> BlueskyAccount:
    """A new account on the real server."""
    return open_at(bluesky, new_account(bluesky, f"t{abs(hash(request.node.nodeid)) % 10**9}"))


def claimed(account: BlueskyAccount, row: Post, text: str | None = None) -> Post:
    row = replace(row, text=text or row.text)
    return replace(row, record=account.record(row))


@pytest.mark.slow
def test_the_same_record_again_and_at_once_is_one_post(account: BlueskyAccount, bluesky: str, row: Post) -> None:
    post = claimed(account, row)
    outcomes = [account.post(post)]
    threads = [threading.Thread(target=lambda: outcomes.append(account.post(post))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(outcomes[0], Posted)
    assert outcomes == [outcomes[0]] * 9
    (record,) = records(bluesky, account._handle)
    assert record["uri"] == outcomes[0].published.id
    assert record["value"] == (post.record or {})["record"]
    assert outcomes[0].published.url == f"https://bsky.app/profile/{account._handle}/post/{(post.record or {})['rkey']}"


@pytest.mark.slow
def test_another_attempt_at_a_text_finds_the_first(account: BlueskyAccount, bluesky: str, row: Post) -> None:
    """One that was given back, and had arrived after all: the key is the same, the time is not."""
    first = claimed(account, row)
    account.post(first)
    later = replace(first, claimed_at=first.claimed_at + timedelta(minutes=11))
    second = replace(later, record=account.record(later))
    assert (second.record or {})["rkey"] == (first.record or {})["rkey"]
    assert second.record != first.record
    assert account.post(second) == account.post(first)
    (record,) = records(bluesky, account._handle)
    assert record["value"] == (first.record or {})["record"]
    other = account.record(replace(row, text="edited"))["record"]
    edited = replace(first, text="edited", record={**(first.record or {}), "record": other})
    assert isinstance(account.post(edited), Refused)
    assert len(records(bluesky, account._handle)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        'e\u0301 "quoted" \\ and\ntwo lines 👨‍👩‍👧‍👦',
        "see https://example.com/a?b=c&d=e, 漢字 and example.org",
        "👍🏽" * 300,
        "漢" * 300,
        "https://example.com/" + "a" * 280,
    ],
)
def test_what_the_server_takes(account: BlueskyAccount, bluesky: str, row: Post, text: str) -> None:
    assert account.long(text) is None
    assert isinstance(account.post(claimed(account, row, text)), Posted)
    (record,) = records(bluesky, account._handle)
    assert record["value"]["text"] == text  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a" * 301, "👨‍👩‍👧‍👦" * 121])
def test_what_the_server_refuses(account: BlueskyAccount, row: Post, text: str) -> None:
    assert account.long(text)
    outcome = account.post(claimed(account, row, text))
    assert isinstance(outcome, Refused)
    assert "Invalid app.bsky.feed.post record" in outcome.reason


@pytest.mark.slow
def test_a_session_that_the_server_no_longer_takes(
    account: BlueskyAccount, bluesky: str, row: Post, connection: Connection
) -> None:
    """One that the account's owner ended: the refresh token is gone too, and the password helps."""
    assert isinstance(account.post(claimed(account, row)), Posted)
    held = account._sessions.get(account._http)
    httpx.post(f"{bluesky}/xrpc/com.atproto.server.deleteSession", headers={"authorization": f"Bearer {held.refresh}"})
    broken = replace(held, access=held.access[:-9] + "AAAAAAAAA")
    account._sessions.get = lambda http, stale=None, get=account._sessions.get: (  # type: ignore[method-assign]
        get(http, stale=held) if stale else broken
    )
    assert isinstance(account.post(claimed(account, row, "again")), Posted)
    assert len(records(bluesky, account._handle)) == 2


@pytest.mark.slow
def test_the_real_limit_of_sign_ins(
    shared: Path, tmp_path: Path, row: Post, open_at: Callable[..., BlueskyAccount]
) -> None:
    """A wrong password is tried once; the 31st sign-in in 5 minutes is one too many; a kept session needs none."""
    from tests.bluesky import server

    (tmp_path / "pds").mkdir()
    with server(shared / "bluesky", tmp_path / "pds", "--limits") as url:
        handle = new_account(url, "limited")
        right, wrong = open_at(url, handle), open_at(url, handle, "wrong")
        assert isinstance(right.post(claimed(right, row)), Posted)
        body = {"identifier": handle, "password": PASSWORD}
        for _ in range(31):
            status = httpx.post(f"{url}/xrpc/com.atproto.server.createSession", json=body).status_code
        assert status == 429
        assert isinstance(right.post(claimed(right, row, "again")), Posted)
        outcome = wrong.post(claimed(wrong, row, "no"))
        assert isinstance(outcome, Unavailable)
        assert outcome.until
        assert outcome.until > datetime.now(UTC)


@pytest.mark.slow
def test_a_wrong_password(bluesky: str, row: Post, open_at: Callable[..., BlueskyAccount]) -> None:
    account = open_at(bluesky, new_account(bluesky, "wrongpassword"), "wrong")
    outcome = account.post(claimed(account, row))
    assert isinstance(outcome, Unavailable)
    assert "Invalid identifier or password" in outcome.reason


def signed_in(answer: Any) -> Callable[[str, str], Any]:
    return lambda method, path: (200, session()) if "Session" in path else answer


@pytest.mark.parametrize(
    ("answer", "outcome", "says"),
    [
        ((200, {"uri": "at://did:plc:a/app.bsky.feed.post/3k", "cid": "b"}), Posted, ""),
        ((200, {}), Unknown, "200"),
        ((200, b"<h1>It works</h1>"), Unknown, "200"),
        ((200, b'{"uri": "at://'), Unknown, "200"),
        (None, Unknown, "the answer was lost"),
        ((500, {"error": "InternalServerError"}), Unknown, "500"),
        ((502, b""), Unknown, "502"),
        ((504, b""), Unknown, "504"),
        ((429, {"error": "RateLimitExceeded"}, {"ratelimit-reset": "2000000000"}), Unavailable, "limit is reached"),
        ((400, {"error": "InvalidRequest", "message": "Invalid app.bsky.feed.post record: …"}), Refused, "Invalid"),
        ((400, {"error": "InvalidRequest", "message": "Could not find repo"}), Unavailable, "check the account"),
        ((400, {"error": "AccountTakedown", "message": "Account has been taken down"}), Unavailable, "taken down"),
        ((400, {"error": "ExpiredToken", "message": "Token has expired"}), Unavailable, "Token has expired"),
        ((302, b"", {"location": "https://evil.example/"}), Unavailable, "302"),
    ],
)
def test_what_the_server_answers(
    scripted: Scripted, open_at: Callable[..., BlueskyAccount], row: Post, answer: Any, outcome: type, says: str
) -> None:
    scripted.answer = signed_in(answer)
    account = open_at(scripted.host)
    got = account.post(claimed(account, row))
    assert isinstance(got, outcome), got
    assert says in getattr(got, "reason", "")
    again = isinstance(answer, tuple) and isinstance(answer[1], dict) and answer[1].get("error") == "ExpiredToken"
    assert [path.rpartition(".")[2] for path in scripted.asked].count("putRecord") == 1 + again


def test_the_swap_is_null(scripted: Scripted, open_at: Callable[..., BlueskyAccount], row: Post) -> None:
    """Or another record under the key would be overwritten."""
    scripted.answer = signed_in((200, {"uri": "at://did:plc:a/app.bsky.feed.post/3k"}))
    account = open_at(scripted.host, language="en")
    post = claimed(account, row)
    account.post(post)
    sent = scripted.bodies[-1]
    assert sent == {"repo": "did:plc:a", "collection": "app.bsky.feed.post", **(post.record or {}), "swapRecord": None}
    assert sent["record"]["langs"] == ["en"]


@pytest.mark.slow
def test_reads_its_own_records(account: BlueskyAccount, bluesky: str, row: Post) -> None:
    """No likes: there is no service beside the server that would count them."""
    account._view = bluesky
    beginning = datetime.now(UTC)
    assert account.own_posts(beginning, None, 25, None) == Page([], None)
    rows = [claimed(account, replace(row, claimed_at=datetime.now(UTC)), f"number {number}") for number in range(7)]
    for post in rows:
        account.post(post)
    shown, cursor = [], None
    for size in (3, 3, 1):
        page = account.own_posts(beginning, None, size, cursor)
        shown += page.shown
        cursor = page.cursor
    assert [one.text for one in shown] == [f"number {number}" for number in range(6, -1, -1)]
    assert [[account.same(post, one) for one in shown].index(True) for post in rows] == [6, 5, 4, 3, 2, 1, 0]
    assert account.own_posts(rows[-1].claimed_at, None, 3, None).cursor is None  # the oldest of the page is from before
    assert shown[0].numbers == {}


def test_what_people_made_of_its_posts(scripted: Scripted, open_at: Callable[..., BlueskyAccount], row: Post) -> None:
    """By the shape of app.bsky.feed.getPosts."""
    uris = [f"at://did:plc:a/app.bsky.feed.post/3k{number}" for number in (3, 2, 1)]
    listed = {"records": [{"uri": uri, "value": {"text": uri[-1]}} for uri in uris], "cursor": "3k1"}
    counts = {"likeCount": 5, "repostCount": 1, "replyCount": 0, "quoteCount": 2, "indexedAt": "2026-11-27T12:00:00Z"}
    counted: list[Any] = [(200, {"posts": [{"uri": uris[1], **counts}]})]

    def answer(method: str, path: str) -> Any:
        if "listRecords" in path:
            return 200, listed
        return counted[-1] if "getPosts" in path else (200, session())

    scripted.answer = answer
    account = open_at(scripted.host, view=scripted.host)
    page = account.own_posts(datetime(1970, 1, 1, tzinfo=UTC), None, 3, None)
    assert (page.cursor, [shown.text for shown in page.shown]) == ("3k1", ["3", "2", "1"])
    numbers = {"likes": 5, "reposts": 1, "replies": 0, "quotes": 2}
    assert [shown.numbers for shown in page.shown] == [{}, numbers, {}]
    for wrong in (None, (503, b""), (200, b"<h1>"), (200, {"posts": 1})):
        counted.append(wrong)
        assert [shown.numbers for shown in account.own_posts(datetime.now(UTC), None, 3, None).shown] == [{}, {}, {}]
    for wrong in (None, (503, b""), (200, b"<h1>"), (200, {"records": [{}]})):
        scripted.answer = signed_in(wrong)
        with pytest.raises(MynahError, match=r"does not tell what a\.test has posted"):
            account.own_posts(datetime.now(UTC), None, 25, None)


def test_its_settings(tmp_path: Path) -> None:
    def opened_with(section: dict[str, Any], **env: str) -> Any:
        sections = {"b": bot_file.BlueskyAccount.model_validate({"kind": "bluesky", **section})}
        bot = Bot(name="demo", sources={"none": FileSource(url="none.txt")}, accounts=sections)
        return open_account(bot, "b", Settings.read({"MYNAH_HOME": str(tmp_path), **env}))

    with pytest.raises(UsageError, match="has no app password: make one in Bluesky's settings and set BLUESKY_APP"):
        opened_with({})
    with pytest.raises(UsageError, match="has no name: write its key `handle`, or set NEWS_BLUESKY_HANDLE"):
        opened_with({"env": "NEWS_"}, NEWS_BLUESKY_APP_PASSWORD="p")
    account = opened_with({"handle": "a.bsky.social", "settle_minutes": 2}, BLUESKY_APP_PASSWORD="p")
    assert (account.name, account.settle) == ("Bluesky", timedelta(minutes=2))
    assert opened_with({"handle": "did:plc:abc"}, BLUESKY_APP_PASSWORD="p")
    with pytest.raises(ValueError, match="handle"):
        opened_with({"handle": "@a.bsky.social"})
