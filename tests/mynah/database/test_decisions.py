"""Decisions: each is written down, by whatever version of the code, and stays."""

import getpass
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from mynah.database import posts
from mynah.database.connection import Connection, connect
from mynah.database.decisions import decisions
from mynah.database.tweets import NewTweet, add_tweets, decide, edit, get_tweet


def told(connection: Connection) -> list[tuple[object, ...]]:
    return [
        (d.revision, d.action, d.old_judgement, d.new_judgement, d.old_text, d.new_text, d.who, d.why)
        for d in decisions(connection, "bot", 1)
    ]


def test_each_decision_is_written_down(database_url: str, tmp_path: Path) -> None:
    with connect(database_url, tmp_path, "ana") as connection:
        add_tweets(connection, "bot", [NewTweet("one")])
        assert decide(connection, "bot", 1, "approved")
        assert edit(connection, "bot", 1, "One.")
        assert decide(connection, "bot", 1, "rejected", "off topic")
        assert decide(connection, "bot", 1, "rejected", "again")  # nothing new
        assert decide(connection, "bot", 1, "candidate")
        assert told(connection) == [
            (2, "approve", "candidate", "approved", "one", "one", "ana", None),
            (3, "edit", "approved", "approved", "one", "One.", "ana", None),
            (4, "reject", "approved", "rejected", "One.", "One.", "ana", "off topic"),
            (5, "put back", "rejected", "candidate", "One.", "One.", "ana", None),
        ]
        tweet = get_tweet(connection, "bot", 1)
        assert tweet
        assert (tweet.revision, tweet.text, tweet.written) == (5, "One.", "one")


def test_what_the_judge_decides_at_once_is_written_down(connection: Connection) -> None:
    add_tweets(connection, "bot", [NewTweet("one", state="approved"), NewTweet("two", state="rejected", reason="dull")])
    add_tweets(connection, "bot", [NewTweet("one", state="rejected", reason="known already"), NewTweet("three")])
    assert told(connection) == [(1, "approve", None, "approved", None, "one", "judge.approve_best", None)]
    rows = connection.execute("SELECT action, who, why FROM decisions ORDER BY id").fetchall()
    assert rows == [("approve", "judge.approve_best", None), ("reject", "judge", "dull")]


def test_what_becomes_of_a_post_is_no_decision(connection: Connection) -> None:
    add_tweets(connection, "bot", [NewTweet("one")])
    decide(connection, "bot", 1, "approved")
    for report in (
        lambda id: posts.give_back(connection, id),
        lambda id: posts.doubt(connection, id, "lost"),
        lambda id: posts.record(connection, id, "1", "https://x.com/1"),
    ):
        post = posts.claim(connection, "bot", "main") or posts.unknown(connection, "bot", "main")[0]
        report(post.id)
    assert len(told(connection)) == 1


def test_to_try_again_is_a_decision(connection: Connection) -> None:
    add_tweets(connection, "bot", [NewTweet("one", state="approved")])
    for report in (posts.doubt, posts.refuse):
        post = posts.claim(connection, "bot", "main")
        assert post
        report(connection, post.id, "why")
        assert decide(connection, "bot", 1, "approved")
    assert [d.action for d in decisions(connection, "bot", 1)] == ["approve"] * 3


def test_a_decision_of_0_2_0_is_written_down(old: ModuleType, connection: Connection) -> None:
    old.add_tweets(connection, "bot", [old.NewTweet("one")])
    old.decide(connection, "bot", 1, "approved")
    old.edit(connection, "bot", 1, "One.")
    old.decide(connection, "bot", 1, "rejected", "off topic")
    role = connection.info.user
    assert [(action, who, why) for _, action, *_, who, why in told(connection)] == [
        ("approve", role, None),
        ("edit", role, None),
        ("reject", role, "off topic"),
    ]
    assert role != getpass.getuser()


@pytest.mark.parametrize(
    "deed", ["UPDATE decisions SET who = 'x'", "DELETE FROM decisions", "TRUNCATE decisions CASCADE"]
)
def test_decisions_are_only_added_to(connection: Connection, deed: str) -> None:
    add_tweets(connection, "bot", [NewTweet("one", state="approved")])
    with pytest.raises(psycopg.errors.RestrictViolation, match="only ever added to"):
        connection.execute(deed)
    assert len(told(connection)) == 1
