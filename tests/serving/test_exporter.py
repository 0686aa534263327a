"""What Prometheus reads of Postgres."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from prometheus_client import generate_latest
from psycopg import sql

from mynah.bot import OutboxAccount
from mynah.database import posts, prompts, silences, slots, tweets
from mynah.database.connection import Connection
from mynah.settings import Settings
from serving.exporter import Tweets


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings.read({**os.environ, "DATABASE_URL": database_url, "MYNAH_HOME": str(tmp_path)})


def read(exporter: Tweets) -> str:
    return generate_latest(exporter).decode()


def test_prometheus_reads_the_texts_by_state_from_postgres(settings: Settings, connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [tweets.NewTweet("one"), tweets.NewTweet("two", state="approved")])
    metrics = read(Tweets(settings, ["demo"]))
    assert "mynah_database_up 1.0" in metrics
    assert 'mynah_tweets{bot="demo",state="approved"} 1.0' in metrics
    assert 'mynah_tweets{bot="demo",state="posted"} 0.0' in metrics
    assert "mynah_last_post_timestamp_seconds{" not in metrics
    post = posts.claim(connection, "demo", "main")
    assert post
    posts.record(connection, post.id, "7", "https://x.com/i/web/status/7")
    assert 'mynah_last_post_timestamp_seconds{bot="demo"}' in read(Tweets(settings, ["demo"]))


def test_how_long_the_texts_of_each_account_last(settings: Settings, connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [tweets.NewTweet(f"text {n}", state="approved") for n in range(6)])
    accounts = {
        "main": OutboxAccount(kind="outbox", schedule="0 */8 * * *", stock_days=4),
        "rare": OutboxAccount(kind="outbox", suspend=True),
    }
    slots.miss(connection, "demo", "main", datetime.now(UTC), "it says 503")
    doubtful = posts.claim(connection, "demo", "rare")
    assert doubtful
    posts.doubt(connection, doubtful.id, "lost")
    posts.looks_like(connection, doubtful.id, "https://x.com/1")
    metrics = read(Tweets(settings, ["demo"], accounts={"demo": accounts}))
    assert {line for line in metrics.splitlines() if 'account="' in line} == {
        'mynah_stock_days{account="main",bot="demo"} 2.0',
        'mynah_stock_days_wanted{account="main",bot="demo"} 4.0',
        'mynah_missed_posts{account="main",bot="demo"} 1.0',
        'mynah_missed_posts{account="rare",bot="demo"} 0.0',
        'mynah_posts_for_a_person{account="main",bot="demo"} 0.0',
        'mynah_posts_for_a_person{account="rare",bot="demo"} 1.0',
    }


def test_silent_accounts_are_counted_as_long_as_they_are(settings: Settings, connection: Connection) -> None:
    for bot, source, accounts in (("demo", "x", ["a", "b"]), ("demo", "y", ["a"]), ("other", "x", ["a"])):
        silences.replace(connection, bot, source, accounts)
    exporter = Tweets(settings, ["demo"])
    assert {line for line in read(exporter).splitlines() if line.startswith("mynah_silent")} == {
        'mynah_silent_accounts{bot="demo",source="x"} 2.0',
        'mynah_silent_accounts{bot="demo",source="y"} 1.0',
    }
    silences.replace(connection, "demo", "x", ["b", "c"])
    silences.replace(connection, "demo", "y", [])
    assert silences.count(connection, "demo") == {"x": 2}


def test_what_people_played_is_counted(settings: Settings, connection: Connection) -> None:
    for _ in range(3):
        prompts.visit(connection, "demo", "love is", "{}")
    prompts.visit(connection, "other", "love is", "{}")
    assert [
        line for line in read(Tweets(settings, ["demo"])).splitlines() if line.startswith("mynah_played_total")
    ] == ['mynah_played_total{bot="demo",what="visit"} 3.0']


@pytest.fixture
def frozen() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_postgres_that_is_away_is_told_and_asked_again(
    settings: Settings, frozen: int, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Tweets(settings, ["demo"], seconds=0.2)
    for port, complaint in ((1, "Postgres does not answer"), (frozen, "Postgres has not answered for 0.2 s")):
        exporter.settings = replace(settings, database_url=f"host=127.0.0.1 port={port}")
        for _ in range(2):
            metrics = read(exporter)
            assert "mynah_database_up 0.0" in metrics
            assert "mynah_tweets{" not in metrics
        (said,) = [message for message in caplog.messages if message.startswith(complaint)]  # once, not per scrape
    exporter = Tweets(settings, ["demo"])
    exporter._said = said
    assert "mynah_database_up 1.0" in read(exporter)
    assert caplog.messages[-1] == "Postgres answers again"


def test_a_scrape_does_not_wait_for_a_migration(settings: Settings, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("test_not_migrated")))
        url = psycopg.conninfo.make_conninfo(postgres, dbname="test_not_migrated")
        metrics = read(Tweets(replace(settings, database_url=url), ["demo"], seconds=60))
        assert "mynah_database_up 0.0" in metrics
        server.execute("DROP DATABASE test_not_migrated WITH (FORCE)")
