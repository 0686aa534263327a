"""The tweets table: what it allows, whatever happens at once."""

import hashlib
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynah.database import STATES, posts
from mynah.database.connection import Connection
from mynah.database.queue import Filter, find
from mynah.database.tweets import (
    NewTweet,
    Stale,
    add_tweets,
    best_texts,
    count_states,
    count_waiting,
    decide,
    edit,
    get_tweet,
    known_texts,
)

ALLOWED = {
    "candidate": {"approved", "rejected"},
    "approved": {"candidate", "rejected", "posting"},
    "rejected": {"candidate", "approved"},
    "posting": {"posted", "approved", "rejected", "unknown"},
    "unknown": {"posted", "approved", "rejected"},
    "posted": set(),
}


def add(connection: Connection, *texts: str, state: str = "candidate", **more: Any) -> None:
    add_tweets(connection, "bot", [NewTweet(text, state=state, **more) for text in texts])


def test_a_text_is_kept_once_a_bot(connection: Connection) -> None:
    assert add_tweets(connection, "bot", [NewTweet("a"), NewTweet("b"), NewTweet("a")]) == 2
    assert add_tweets(connection, "bot", [NewTweet("a")]) == 0
    assert add_tweets(connection, "other", [NewTweet("a")]) == 1
    assert add_tweets(connection, "bot", [NewTweet("long " * 5000)]) == 1
    assert known_texts(connection, "bot", ["a", "z"]) == {"a"}


def test_white_space_makes_no_other_text(connection: Connection) -> None:
    assert add_tweets(connection, "bot", [NewTweet("a b"), NewTweet(" a\n b\u2003"), NewTweet("a\u00a0b")]) == 1
    assert known_texts(connection, "bot", ["a\tb", "ab"]) == {"a\tb"}
    add(connection, "c d")
    with pytest.raises(psycopg.errors.UniqueViolation):
        edit(connection, "bot", find(connection, "bot", Filter(), 9)[1].id, "a  b")


def test_white_space_is_what_python_splits_at(connection: Connection) -> None:
    last = 0x2FFFF
    found = connection.execute(
        "SELECT i FROM generate_series(1, %s) AS i WHERE i NOT BETWEEN 55296 AND 57343"
        " AND text_key('a' || chr(i) || 'b') = text_key('a b')",
        [last],
    ).fetchall()
    assert [i for (i,) in found] == [i for i in range(1, last + 1) if f"a{chr(i)}b".split() == ["a", "b"]]
    (key,) = connection.execute("SELECT text_key(%s)", [" a \u2028 b\r\n"]).fetchone() or ("",)
    assert key == hashlib.md5(b"a b").hexdigest()


def test_a_text_comes_with_how_it_was_made(connection: Connection) -> None:
    add(connection, "one", model="m", sampling={"temperature": 0.9}, seed=7)
    tweet = get_tweet(connection, "bot", 1)
    assert tweet is not None
    assert (tweet.sampling, tweet.seed, tweet.written) == ({"temperature": 0.9}, 7, "one")


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
        "judgement = 'so so'",
        "text = ' '",
        "score = 1.5",
    ],
)
def test_the_table_refuses_what_makes_no_sense(connection: Connection, change: str) -> None:
    add(connection, "text", state="approved")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE tweets SET {change}")


@pytest.mark.parametrize("end", ["claimed", "unknown", "posted"])
def test_a_text_that_an_account_may_have_cannot_change(connection: Connection, end: str) -> None:
    add(connection, "text", state="approved")
    post = posts.claim(connection, "bot", "main")
    assert post
    if end == "unknown":
        posts.doubt(connection, post.id, "lost")
    if end == "posted":
        posts.record(connection, post.id, "1", "https://x.com/i/web/status/1")
    for table in ("tweets", "posts"):
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(f"UPDATE {table} SET text = 'other'")
    assert not edit(connection, "bot", post.tweet_id, "other")
    assert decide(connection, "bot", post.tweet_id, "rejected", "no") == (end == "unknown")


def test_who_decides_on_what_has_changed_is_told_who_changed_it(connection: Connection) -> None:
    add(connection, "one", "two")
    connection.execute("SELECT set_config('mynah.user', 'ana', false)")
    assert decide(connection, "bot", 1, "rejected", "off topic", revision=1)
    connection.execute("SELECT set_config('mynah.user', 'bea', false)")
    with pytest.raises(
        Stale, match=r"^tweet 1 was rejected by ana \(off topic\) meanwhile: look at it again$"
    ) as stale:
        decide(connection, "bot", 1, "approved", revision=1)
    assert (stale.value.tweet.state, stale.value.tweet.revision) == ("rejected", 2)
    assert stale.value.decision
    assert (stale.value.decision.who, stale.value.decision.action) == ("ana", "reject")
    with pytest.raises(Stale, match="rejected by ana"):
        edit(connection, "bot", 1, "one!", revision=1)
    assert edit(connection, "bot", 1, "one!", revision=2)
    assert decide(connection, "bot", 1, "approved", revision=3)
    assert decide(connection, "bot", 1, "candidate")  # who names no revision takes it as it is
    assert not decide(connection, "bot", 99, "approved", revision=1)


def test_an_unknown_one_cannot_be_put_back(connection: Connection) -> None:
    add(connection, "one", state="approved")
    post = posts.claim(connection, "bot", "main")
    assert post
    posts.doubt(connection, post.id, "lost")
    assert not decide(connection, "bot", post.tweet_id, "candidate")
    assert count_states(connection, "bot")["unknown"] == 1


def test_the_lists_are_in_order(connection: Connection) -> None:
    for score in (0.2, 0.9, None, 0.5):
        add(connection, f"text {score}", score=score, model="m")
    assert [t.score for t in find(connection, "bot", Filter(), 10)] == [0.9, 0.5, 0.2, None]
    assert [t.score for t in best_texts(connection, "bot", "m", 2)] == [0.9, 0.5]
    assert count_waiting(connection, "bot", "m") == 4
