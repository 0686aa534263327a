"""Approving from a phone: a link shows, a button decides, once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from mynah import curation
from mynah.bot import Bot
from mynah.database import tweets
from mynah.database.connection import Connection
from mynah.database.decisions import decisions
from mynah.database.tweets import NewTweet, Tweet
from mynah.errors import UsageError
from mynah.links import Link, token
from mynah.settings import Settings
from serving.tweets.allowance import Allowance
from tests.scripted import Server
from tests.serving.tweets.conftest import replica, settings_of

KEY = "k" * 32
SOON = datetime.now(UTC) + timedelta(hours=1)
TEXT = "A <b>fine</b> text & more,\nof two lines."


@pytest.fixture
def keyed(tmp_path: Path, database_url: str, model: Server) -> Settings:
    found = settings_of(tmp_path, database_url, model)
    return replace(found, environment={**found.environment, "MYNAH_SIGNING_KEY": KEY})


@pytest.fixture
def phone(keyed: Settings, bots: dict[str, Bot]) -> Iterator[httpx.Client]:
    with replica(keyed, bots) as client:
        yield client


@pytest.fixture
def link(connection: Connection, bots: dict[str, Bot]) -> str:
    tweets.add_tweets(connection, "left", [NewTweet(TEXT, score=0.8)])
    return f"/decide/{token(KEY, Link('left', 1, 1, SOON))}"


def now(connection: Connection) -> Tweet:
    found = tweets.get_tweet(connection, "left", 1)
    assert found
    return found


def test_a_look_decides_nothing(phone: httpx.Client, connection: Connection, link: str) -> None:
    for ask in (phone.get, phone.head, phone.get):
        found = ask(link)
        assert found.status_code in (200, 405)
    found = phone.get(link)
    assert "A &lt;b&gt;fine&lt;/b&gt; text &amp; more,\nof two lines." in found.text
    last = link.rpartition("/")[2]
    assert f'<button formaction="{last}/approve">Approve</button>' in found.text
    assert found.text.count("<form") == 1
    assert '<form method="post">' in found.text
    assert "<script" not in found.text
    assert "set-cookie" not in found.headers
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["cache-control"] == "no-store"
    assert phone.get("/decide/../static/play.css").status_code == 200
    assert phone.get(f"{link}/approve").status_code == 405
    assert now(connection).state == "candidate"


@pytest.mark.parametrize(("verdict", "state"), [("approve", "approved"), ("reject", "rejected")])
def test_a_button_decides_once(
    phone: httpx.Client, connection: Connection, link: str, verdict: str, state: str
) -> None:
    done = phone.post(f"{link}/{verdict}")
    assert done.status_code == 200
    assert f"<h1>{state.capitalize()}.</h1>" in done.text
    assert now(connection).state == state
    (decision,) = decisions(connection, "left", 1)
    assert decision.who == "a link in an alert"
    for again in (phone.post(f"{link}/approve"), phone.post(f"{link}/reject"), phone.get(link)):
        assert again.status_code == 409
        assert f"Tweet 1 was {state} by a link in an alert" in again.text
        assert "<button" not in again.text
    assert now(connection).revision == 2


def test_who_was_quicker_is_said(phone: httpx.Client, connection: Connection, link: str, bots: dict[str, Bot]) -> None:
    connection.execute("SELECT set_config('mynah.user', 'ana', false)")
    curation.decide(bots["left"], connection, [1], "rejected", "off topic")
    curation.decide(bots["left"], connection, [1], "candidate", None)
    for found in (phone.get(link), phone.post(f"{link}/approve")):
        assert found.status_code == 409
        assert "Tweet 1 was put back by ana meanwhile." in found.text
    assert now(connection).state == "candidate"


def test_what_may_not_be_posted_is_not_approved(
    phone: httpx.Client, connection: Connection, bots: dict[str, Bot]
) -> None:
    tweets.add_tweets(connection, "left", [NewTweet("See example.com now.")])
    done = phone.post(f"/decide/{token(KEY, Link('left', 1, 1, SOON))}/approve")
    assert done.status_code == 409
    assert "Tweet 1 cannot be posted: it contains a link" in done.text
    assert now(connection).state == "candidate"


def test_what_is_no_link_of_ours(phone: httpx.Client, connection: Connection, link: str) -> None:
    good = link.rpartition("/")[2]
    other = {
        "another key": token("x" * 32, Link("left", 1, 1, SOON)),
        "another tweet": good.replace("left.1.1", "left.2.1"),
        "another revision": good.replace("left.1.1", "left.1.2"),
        "a later time": good.replace(str(int(SOON.timestamp())), str(int(SOON.timestamp()) + 9)),
        "cut": good[:-1],
        "another bot": token(KEY, Link("nobody", 1, 1, SOON)),
        "no tweet": token(KEY, Link("left", 99, 1, SOON)),
        "nonsense": "..é..",
    }
    for what, last in other.items():
        assert phone.get(f"/decide/{last}").status_code == 404, what
        assert phone.post(f"/decide/{last}/approve").status_code in (404, 409), what
    old = token(KEY, Link("left", 1, 1, datetime.now(UTC) - timedelta(seconds=1)))
    assert phone.get(f"/decide/{old}").status_code == 410
    assert phone.post(f"/decide/{old}/approve").status_code == 410
    assert phone.post(f"{link}/delete").status_code == 400
    assert now(connection).state == "candidate"


def test_without_a_key_there_is_no_such_page(api: httpx.Client, link: str) -> None:
    assert api.get(link).status_code == 404
    assert api.post(f"{link}/approve").status_code == 404


def test_links_are_rate_limited_as_all_is(keyed: Settings, bots: dict[str, Bot], link: str) -> None:
    with replica(keyed, bots, Allowance(2, 0)) as client:
        assert [client.get(link).status_code for _ in range(3)] == [200, 200, 429]


def test_a_short_key_is_refused() -> None:
    with pytest.raises(UsageError, match="MYNAH_SIGNING_KEY has 5 characters, and 32 are the least"):
        Settings.read({"MYNAH_SIGNING_KEY": "short"}).signing_key  # noqa: B018
