"""What is decided can be taken back, all of it, and in the end everything is as it was."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynah import curation, undoing
from mynah.bot import Bot, FileSource
from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet, Stale
from mynah.errors import MynahError

BOT = Bot(name="demo", sources={"none": FileSource(url="none.txt")})


def at_work(connection: Connection, who: str) -> None:
    connection.execute("SELECT set_config('mynah.user', %s, false)", [who])


def stand(connection: Connection) -> list[Any]:
    return connection.execute("SELECT id, text, state, judgement, reason FROM tweets ORDER BY id").fetchall()


def decide(connection: Connection, id: int, action: str) -> None:
    if action.startswith("edit"):
        curation.edit(BOT, connection, id, f"text {id} {action}")
    else:
        curation.decide(BOT, connection, [id], action, "no" if action == "rejected" else None)


STEPS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["approved", "rejected", "candidate", "edit a", "edit b", "undo"])),
    max_size=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_undone_to_the_end_all_is_as_it_was(connection: Connection, steps: list[tuple[int, str]]) -> None:
    """Each undo takes back exactly one step, whatever was undone before."""
    connection.execute("TRUNCATE tweets RESTART IDENTITY CASCADE")
    connection.execute("SELECT set_config('mynah.user', gen_random_uuid()::text, false)")  # a person of this example
    first = [NewTweet("one", state="rejected", reason="dull"), NewTweet("two", state="approved")]
    tweets.add_tweets(connection, "demo", [*first, NewTweet("three"), NewTweet("four")])
    before = [stand(connection)]
    for id, action in steps:
        if action == "undo":
            undone = undoing.undo_last(BOT, connection)
            assert len(undone.decisions) == (len(before) > 1)
            before = before[:-1] or before
            assert stand(connection) == before[-1]
            continue
        decide(connection, id, action)
        if stand(connection) != before[-1]:
            before.append(stand(connection))
    for expected in reversed(before[:-1]):
        undoing.undo_last(BOT, connection)
        assert stand(connection) == expected
    assert undoing.undo_last(BOT, connection).decisions == []


def test_of_another_nothing_is_undone(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("one"), NewTweet("two")])
    at_work(connection, "ana")
    decide(connection, 1, "approved")
    decision = undoing.last_own(connection, "demo")
    assert decision
    at_work(connection, "bo")
    assert undoing.last_own(connection, "demo") is None
    decide(connection, 1, "rejected")
    at_work(connection, "ana")
    with pytest.raises(Stale, match=r"tweet 1 was rejected by bo \(no\) meanwhile: look at it again"):
        undoing.undo(BOT, connection, decision)
    at_work(connection, "bo")
    undoing.undo_last(BOT, connection)
    at_work(connection, "ana")
    assert undoing.undo(BOT, connection, decision).state == "candidate"  # bo's word does not stand any more
    with pytest.raises(MynahError, match="is undone already"):
        undoing.undo(BOT, connection, decision)


def test_what_is_posted_stays(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("one")])
    decide(connection, 1, "approved")
    post = posts.claim(connection, "demo", "main")
    assert post
    posts.record(connection, post.id, "1", "https://example.com/1")
    with pytest.raises(MynahError, match=r"tweet 1 is posted \(https://example.com/1\): too late for that"):
        undoing.undo_last(BOT, connection)


def test_several_at_once_all_or_none(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("one"), NewTweet("two"), NewTweet("three")])
    for id in (1, 2, 3):
        decide(connection, id, "approved")
    assert "tweet 3, approved by" in undoing.undo_of(BOT, connection, [3]).summary()
    with pytest.raises(MynahError, match="you decided nothing about tweet 3"):
        undoing.undo_of(BOT, connection, [2, 3])
    assert tweets.count_states(connection, "demo")["approved"] == 2
    assert len(undoing.undo_last(BOT, connection, 9).decisions) == 2


def test_an_old_text_that_another_has_by_now(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("one of them")])
    decide(connection, 1, "edit a")
    tweets.add_tweets(connection, "demo", [NewTweet("one  of them")])
    with pytest.raises(MynahError, match="tweet 1 cannot have its old text again: another tweet of demo has it"):
        undoing.undo_last(BOT, connection)
