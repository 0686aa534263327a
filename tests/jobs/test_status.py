"""Where a bot's loop stands."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobs.accounts.outbox import Outbox
from jobs.post import post
from jobs.status import Status, status
from mynah.bot import Bot, FileSource, OutboxAccount
from mynah.database import posts, served, spend
from mynah.database.connection import Connection
from mynah.database.spend import Sent
from mynah.database.tweets import NewTweet, add_tweets
from mynah.settings import Settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:1"
BOT: dict[str, Any] = {"name": "demo", "sources": {"none": FileSource(url="none.txt")}}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": database_url})


def lines(found: Status, *names: str) -> list[str]:
    return [line for line in found.summary().splitlines() if line.startswith(names)]


def test_of_a_bot_that_has_done_nothing_yet(settings: Settings, connection: Connection) -> None:
    found = status(Bot(**BOT), settings, NOBODY, NOON)
    assert found.summary().splitlines() == [
        "bot      demo",
        "scraped  none: 0 files",
        "dataset  none yet: `mynah dataset demo`",
        "newest   none yet: `mynah train demo`",
        "current  none yet: `mynah promote demo`",
        f"serving  nothing answers at {NOBODY}",
        "tweets   none",
        "posted   nothing yet",
        "next     2026-11-21 15:00 UTC (schedule 0 */3 * * *) has nothing to post: `mynah curate demo`",
    ]


def test_what_the_sources_cost_this_month(settings: Settings, connection: Connection) -> None:
    cost = Decimal("1.25")
    spend.reserve(connection, "demo", "birds", "a page", Decimal(5), lambda rest: Sent({}, cost))
    assert lines(status(Bot(**BOT), settings, NOBODY, NOON), "spent") == ["spent    $1.25 of $5 this month"]


def test_what_people_did_with_its_prompts(settings: Settings, connection: Connection) -> None:
    for bot, day, what, number in (
        ("demo", "now()", "visit", 1200),
        ("demo", "now() - interval '29 days'", "visit", 1),
        ("demo", "now() - interval '40 days'", "visit", 5),
        ("demo", "now()", "like", 2),
        ("other", "now()", "like", 7),
    ):
        connection.execute(f"INSERT INTO play_days VALUES ('{bot}', {day}, '{what}', {number})".encode())
    assert lines(status(Bot(**BOT), settings, NOBODY, NOON), "played") == [
        "played   1,201 prompts asked, 0 of them new, 2 likes, 0 reports in 30 days"
    ]


def test_current_is_what_was_promoted(settings: Settings, connection: Connection) -> None:
    connection.execute("SELECT set_config('mynah.user', 'ana', false)")
    served.ask(connection, "demo", "a-model", "its dev loss is good")
    assert status(Bot(**BOT), settings, NOBODY, NOON).current is None
    served.carry_out(connection, 1)
    found = status(Bot(**BOT), settings, NOBODY, NOON)
    assert found.current is not None
    assert found.current["model"] == "a-model"
    assert lines(found, "current") == [f"current  a-model since {found.current['since']}, by ana: its dev loss is good"]


def test_each_account_stands_by_itself(settings: Settings, connection: Connection, tmp_path: Path) -> None:
    accounts = {
        "first": OutboxAccount(kind="outbox", schedule="0 9 * * *", time_zone="Asia/Kolkata"),
        "second": OutboxAccount(kind="outbox", suspend=True),
    }
    bot = Bot(**BOT, accounts=accounts)
    add_tweets(connection, "demo", [NewTweet(text, state="approved") for text in ("one", "two", "three")])
    done = post(bot, "first", connection, Outbox(tmp_path / "box.jsonl"))
    doubtful = posts.claim(connection, "demo", "second")
    assert doubtful
    posts.doubt(connection, doubtful.id, "the answer was lost")
    in_hand = posts.claim(connection, "demo", "second")
    assert in_hand
    found = status(bot, settings, NOBODY, NOON)
    first, second = found.accounts["first"], found.accounts["second"]
    assert first.last_post
    assert (first.last_post["tweet"], first.left, first.doubts) == (done.tweet, 2, [])
    assert second.last_post is None
    assert [(doubt["tweet"], doubt["state"]) for doubt in second.doubts] == [
        (in_hand.tweet_id, "claimed"),
        (doubtful.tweet_id, "unknown"),
    ]
    shown = lines(found, "posted", "doubt", "next")
    assert shown[0].startswith("posted   first: 20")
    left = "2 to post, for 2.0 days: low, `mynah curate demo`"
    assert shown[1] == f"next     first: 2026-11-22 09:00 IST (schedule 0 9 * * *), {left}"
    assert shown[2] == "posted   second: nothing yet"
    assert shown[3].startswith(f"doubt    second: tweet {in_hand.tweet_id} is claimed since 20")
    assert shown[4].startswith(f"doubt    second: tweet {doubtful.tweet_id} is unknown since 20")
    assert shown[4].endswith(": the answer was lost")
    assert shown[5] == "next     second: suspended (schedule 0 */3 * * *), 1 to post"
