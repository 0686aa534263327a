"""Alerts, through apprise to a server on loopback: each thing once, and nothing is lost that nobody took."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.alert import alert, alert_after
from mynah import curation
from mynah.bot import Bot, FileSource
from mynah.bot.alerts import Alerts
from mynah.bot.post import Post
from mynah.database import posts, slots, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter, find
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError, UsageError
from mynah.links import read
from mynah.settings import Settings
from tests.scripted import Server, scripted

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = "k" * 32


@pytest.fixture
def hook() -> Iterator[Server]:
    """It keeps what it is told."""
    with scripted() as server:
        server.script = [lambda body: (200, {})]
        yield server


@pytest.fixture
def environment(hook: Server, tmp_path: Path) -> dict[str, str]:
    address = hook.address.removeprefix("http://")
    return {"MYNAH_HOME": str(tmp_path), "MYNAH_ALERTS": f"json://{address}/hook", "MYNAH_SIGNING_KEY": KEY}


def bot_with(**alerts: Any) -> Bot:
    source = FileSource(url="none.txt")
    return Bot(name="demo", sources={"none": source}, alerts=Alerts(**alerts), post=Post(schedule="0 */6 * * *"))


Ask = Callable[..., str]


@pytest.fixture
def ask(connection: Connection, environment: dict[str, str]) -> Ask:
    """ask(…) alerts; returns the summary."""

    def ask(bot: Bot | None = None, dry_run: bool = False) -> str:
        return alert(bot or bot_with(), Settings.read(environment), connection, NOW, dry_run).summary()

    return ask


def told(hook: Server) -> list[tuple[str, str]]:
    return [(body["title"], body["message"]) for body in hook.asked]


def approve(connection: Connection, number: int) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet(f"approved text {n}", "approved") for n in range(number)])


def test_the_stock_is_told_once_and_again_once_it_was_full(connection: Connection, hook: Server, ask: Ask) -> None:
    low = "2 approved texts are left, for 0.5 days: `mynah curate demo`"
    approve(connection, 2)
    assert ask(dry_run=True) == f"- {low}"
    assert told(hook) == []
    assert ask() == f"- {low}"
    assert ask() == "nothing to tell of demo; 1 told before"
    assert told(hook) == [(f"demo: {low}", f"- {low}")]
    approve(connection, 12)
    assert ask() == "nothing to tell of demo"
    ids = [tweet.id for tweet in find(connection, "demo", Filter("approved"), 12)]
    curation.decide(bot_with(), connection, ids, "rejected", "no")
    ask()
    assert len(told(hook)) == 2


def test_what_needs_a_person(connection: Connection, hook: Server, ask: Ask) -> None:
    approve(connection, 20)
    refused, doubt, young = (posts.claim(connection, "demo", "main") for _ in range(3))
    assert refused
    assert doubt
    assert young
    posts.refuse(connection, refused.id, "it says 400")
    for row in (doubt, young):
        posts.doubt(connection, row.id, "the answer was lost")
    connection.execute("UPDATE posts SET claimed_at = now() - interval '2 days' WHERE id = %s", [doubt.id])
    slot = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    slots.miss(connection, "demo", "main", slot, "X answered 401")
    slots.miss(connection, "demo", "main", slot - timedelta(days=2), "long ago")
    said = ask().splitlines()
    assert said == [
        f"- was tweet {doubt.tweet_id} posted? Look, then say it with `mynah settle demo`",
        f"- nothing was posted at {slot:%H:%M} UTC: X answered 401",
        f"- tweet {refused.tweet_id} was refused: it says 400; edit it, or approve it to try again",
    ]
    assert told(hook)[0][0] == "demo: 3 things need you"
    # The same text, refused once more, is another thing.
    curation.decide(bot_with(), connection, [refused.tweet_id], "approved", None)
    while (again := posts.claim(connection, "demo", "main")) and again.tweet_id != refused.tweet_id:
        posts.give_back(connection, again.id)
    assert again
    posts.refuse(connection, again.id, "it says 400")
    assert f"tweet {refused.tweet_id} was refused" in ask()
    assert ask(bot_with(stock=False, failed=False, doubts=False)) == "nothing to tell of demo"


def test_candidates_come_with_links(connection: Connection, hook: Server, ask: Ask) -> None:
    scored = [NewTweet("See example.com now.", score=0.9), NewTweet("The best text.", score=0.8)]
    tweets.add_tweets(connection, "demo", [*scored, NewTweet("A worse text.", score=0.1)])
    ask(bot_with(candidates=1, address="https://bots.example.com/"))
    ((_, message),) = told(hook)
    *_, text, address = message.splitlines()
    assert text == "The best text."
    assert address.startswith("https://bots.example.com/decide/demo.2.1.")
    link = read(KEY, address.rpartition("/")[2], NOW)
    assert (link.tweet, link.revision, link.until) == (2, 1, NOW + timedelta(hours=72))
    assert "A worse text" not in message


def test_what_is_missing_for_links_is_said(connection: Connection, environment: dict[str, str], ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"alerts\.candidates needs alerts\.address"):
        ask(bot_with(candidates=1))
    del environment["MYNAH_SIGNING_KEY"]
    with pytest.raises(UsageError, match=r"alerts\.candidates needs MYNAH_SIGNING_KEY"):
        ask(bot_with(candidates=1, address="https://bots.example.com"))


def test_what_nobody_took_is_told_later(
    connection: Connection, hook: Server, environment: dict[str, str], ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.script = [lambda body: (500, {})]
    with pytest.raises(MynahError, match=r"address 1 of MYNAH_ALERTS \(json\) did not take an alert"):
        ask()
    alert_after(bot_with(), Settings.read(environment), connection)
    assert capsys.readouterr().err == "nobody was alerted: address 1 of MYNAH_ALERTS (json) did not take an alert\n"
    hook.script = [lambda body: (200, {})]
    environment["MYNAH_ALERTS"] += " json://user:secret@127.0.0.1:9/closed"
    assert "0 approved texts are left" in ask()
    assert capsys.readouterr().err == "address 2 of MYNAH_ALERTS (json) did not take an alert\n"
    assert ask() == "nothing to tell of demo; 1 told before"


@pytest.mark.parametrize("address", ["nonsense-secret", "what://secret@host"])
def test_an_address_that_is_none(environment: dict[str, str], ask: Ask, address: str) -> None:
    environment["MYNAH_ALERTS"] = address
    with pytest.raises(UsageError, match="address 1 .* is none that apprise knows") as error:
        ask()
    assert "secret" not in str(error.value)
    environment["MYNAH_ALERTS"] = ""
    with pytest.raises(UsageError, match="MYNAH_ALERTS is not set"):
        ask()
