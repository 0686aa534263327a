"""The tweets table: what it allows, whatever happens at once."""

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynah import database
from mynah.database import STATES, Connection, NewTweet
from mynah.errors import MynahError

ALLOWED = {
    "candidate": {"approved", "rejected"},
    "approved": {"candidate", "rejected", "posting"},
    "rejected": {"candidate", "approved"},
    "posting": {"posted", "approved", "rejected", "unknown"},
    "unknown": {"posted", "approved", "rejected"},
    "posted": set(),
}


def add(connection: Connection, *texts: str, state: str = "candidate", **more: Any) -> None:
    database.add_tweets(connection, "bot", [NewTweet(text, state=state, **more) for text in texts])


def test_a_text_is_kept_once_a_bot(connection: Connection) -> None:
    assert database.add_tweets(connection, "bot", [NewTweet("a"), NewTweet("b"), NewTweet("a")]) == 2
    assert database.add_tweets(connection, "bot", [NewTweet("a")]) == 0
    assert database.add_tweets(connection, "other", [NewTweet("a")]) == 1
    assert database.add_tweets(connection, "bot", [NewTweet("long " * 5000)]) == 1
    assert database.known_texts(connection, "bot", ["a", "z"]) == {"a"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(st.sampled_from(STATES), min_size=1, max_size=6))
def test_only_the_drawn_ways_lead_from_state_to_state(connection: Connection, path: list[str]) -> None:
    connection.execute("TRUNCATE tweets CASCADE")
    add(connection, "text")
    at = "candidate"
    for to in path:
        facts = "post_id = 'p', posted_at = now()" if to == "posted" else "post_id = NULL, posted_at = NULL"
        change = f"UPDATE tweets SET state = %s, reason = 'why', claimed_at = now(), {facts}"
        if to == at or to in ALLOWED[at]:
            connection.execute(change, [to])
            at = to
        else:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(change, [to])
    assert connection.execute("SELECT state FROM tweets").fetchall() == [(at,)]


@pytest.mark.parametrize(
    "change",
    [
        "state = 'approved', post_id = '1', posted_at = now()",
        "state = 'posted', post_id = '1'",
        "state = 'posted', posted_at = now()",
        "state = 'posting', claimed_at = NULL",
        "state = 'rejected', reason = NULL",
        "state = 'said'",
        "text = ' '",
        "score = 1.5",
    ],
)
def test_the_table_refuses_what_makes_no_sense(connection: Connection, change: str) -> None:
    add(connection, "text", state="approved")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE tweets SET {change}")


def test_a_claimed_text_cannot_change(connection: Connection) -> None:
    add(connection, "text", state="approved")
    tweet = database.claim(connection, "bot")
    assert tweet
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE tweets SET text = 'other'")
    assert not database.edit(connection, "bot", tweet.id, "other")
    assert not database.decide(connection, "bot", tweet.id, "rejected", "no")


def test_two_posters_never_claim_the_same_tweet(connection: Connection, database_url: str, tmp_path: Path) -> None:
    add(connection, *(f"text {n}" for n in range(40)), state="approved")
    claimed: list[int] = []

    def poster() -> None:
        with database.connect(database_url, tmp_path) as own:
            while tweet := database.claim(own, "bot"):
                claimed.append(tweet.id)

    threads = [threading.Thread(target=poster) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 40


def test_a_post_is_recorded_once(connection: Connection) -> None:
    add(connection, "one", "two", state="approved")
    first, second = database.claim(connection, "bot"), database.claim(connection, "bot")
    assert first
    assert second
    database.record_post(connection, first.id, "99", "https://x.com/i/status/99")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.record_post(connection, second.id, "99", "https://x.com/i/status/99")
    assert database.count_states(connection, "bot") == dict.fromkeys(STATES, 0) | {"posted": 1, "posting": 1}


def test_the_lists_are_in_order(connection: Connection) -> None:
    for score in (0.2, 0.9, None, 0.5):
        add(connection, f"text {score}", score=score, model="m")
    assert [t.score for t in database.list_tweets(connection, "bot", "candidate", 10)] == [0.9, 0.5, 0.2, None]
    assert [t.score for t in database.best_texts(connection, "bot", "m", 2)] == [0.9, 0.5]
    assert database.count_waiting(connection, "bot", "m") == 4


def test_migrations_are_safe_when_several_start_at_once(postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE crowd")
    url = psycopg.conninfo.make_conninfo(postgres, dbname="crowd")
    failures: list[BaseException] = []

    def start() -> None:
        try:
            database.connect(url, tmp_path).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.connect(url, tmp_path) as connection:
        assert database.migrate(connection) == []


def test_a_dead_database_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MynahError, match="Postgres does not answer: .*check DATABASE_URL") as caught:
        database.connect("postgresql://nobody@127.0.0.1:1/x", tmp_path)
    assert "\n" not in str(caught.value)


def test_only_one_poster_works_at_a_time(connection: Connection, database_url: str, tmp_path: Path) -> None:
    with (
        database.connect(database_url, tmp_path) as other,
        database.poster_lock(connection, "bot") as first,
        database.poster_lock(other, "bot") as second,
        database.poster_lock(other, "another") as third,
    ):
        assert (first, second, third) == (True, False, True)
    with database.poster_lock(connection, "bot") as again:
        assert again
