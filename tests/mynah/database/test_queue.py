"""The texts that wait for people: nobody sees another's, and what is asked often is answered by an index."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
import pytest

from mynah.database import queue, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter
from mynah.database.tweets import NewTweet
from mynah.search import Search
from tests.postgres import database


def add(connection: Connection, *texts: str, **more: Any) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet(text, **more) for text in texts])


def ids(found: list[tweets.Tweet]) -> list[int]:
    return [tweet.id for tweet in found]


def test_two_see_different_texts_until_a_lease_runs_out(connection: Connection) -> None:
    add(connection, "one", "two", "three")
    ana, bo = uuid4(), uuid4()
    take = lambda who, **more: ids(queue.next_candidates(connection, "demo", Filter(), who, 2, **more))  # noqa: E731
    assert take(ana) == [1, 2]
    assert take(ana) == [1, 2]  # its own again
    assert take(ana, beside=[1]) == [2, 3]
    assert take(bo) == []
    queue.release(connection, ana, 2)
    assert take(bo) == [2]
    connection.execute("UPDATE curating SET expires_at = now() - interval '1 s' WHERE tweet_id = 1")
    assert take(bo) == [1, 2]
    assert not queue.lease(connection, 1, ana)
    assert queue.lease(connection, 1, bo)
    queue.release(connection, bo)
    assert queue.lease(connection, 1, ana)


def test_crowds_share_none(connection: Connection, database_url: str) -> None:
    """Eight take again and again, all at the same time."""
    add(connection, *(f"text {number}" for number in range(200)))
    taken: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        who = uuid4()
        with psycopg.connect(database_url, autocommit=True) as mine:
            start.wait()
            while found := queue.next_candidates(mine, "demo", Filter(), who, 3, beside=taken):
                taken.extend(ids(found))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 201))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [3, 1, 2]),
        (Filter(model="b"), [3]),
        (Filter(prompt="The"), [1]),
        (Filter(min_score=0.5), [3, 1]),
        (Filter(search="king"), [1, 2]),
        (Filter(search="KING -old"), [2]),
        (Filter(search='"king is"'), [2]),
        (Filter(search="kin*"), [3, 1, 2]),
        (Filter("rejected"), [4, 5, 6]),
        (Filter("rejected", reason="short"), [4]),
        (Filter("rejected", reason="dull"), [5]),
        (Filter("posted"), []),
    ],
)
def test_filters(connection: Connection, wanted: Filter, found: list[int]) -> None:
    add(connection, "The old king.", prompt="The old", model="a", score=0.5)
    add(connection, "A king is a king.", prompt="A", model="a")
    add(connection, "My kingdom for it.", prompt="My", model="b", score=0.9)
    add(connection, "No.", state="rejected", reason="short: 1 words, fewer than 5")
    add(connection, "Dull words.", state="rejected", reason="dull")
    add(connection, "More dull words.", state="rejected", reason="dullness")
    assert ids(queue.find(connection, "demo", wanted)) == found


@pytest.mark.parametrize("words", ["it's", "a'b*", "\\", "a & b | !c:*", "(", "100%*", "²*", "x\0y", "'*", "один*"])
def test_any_words_may_be_looked_for(connection: Connection, words: str) -> None:
    add(connection, "some text")
    if any(map(str.isalnum, words)):
        assert queue.search(connection, "demo", Search.read(words), 9) == []


@pytest.fixture(scope="module")
def many(postgres: str) -> Iterator[Connection]:
    """8,000 texts, as Postgres knows them after its own ANALYZE."""
    with database(postgres, "many_tweets") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no triggers: it would take ten times as long
        connection.execute(
            """
            INSERT INTO tweets (bot, text, written, text_key, state, judgement, score, reason)
            SELECT bot, text, text, md5(text), state, state, score, 'dull' FROM (
                SELECT CASE WHEN n % 2 = 0 THEN 'demo' ELSE 'other' END AS bot,
                    format('text %s of words, %s', n, md5(n::text)) AS text,
                    CASE WHEN n % 10 < 8 THEN 'candidate' ELSE 'rejected' END AS state, (n % 997) / 1000.0 AS score
                FROM generate_series(1, 8000) AS n) AS made
            """
        )
        connection.execute("ANALYZE")
        yield connection


class Explaining(psycopg.Cursor[Any]):
    """Keeps the plan of each query beside running it."""

    plans: ClassVar[list[str]] = []

    def execute(self, query: Any, params: Any = None, **more: Any) -> "Explaining":
        rows = psycopg.Cursor(self.connection).execute(f"EXPLAIN {query}", params).fetchall()
        self.plans.append("\n".join(row for (row,) in rows))
        return super().execute(query, params, **more)


def explained(connection: Connection, ask: Callable[..., object], *arguments: Any) -> str:
    """The plan of the last query of ask(connection, "demo", …)."""
    connection.cursor_factory = Explaining
    try:
        ask(connection, "demo", *arguments)
    finally:
        connection.cursor_factory = psycopg.Cursor
    return Explaining.plans[-1]


def test_what_is_asked_often_is_answered_by_an_index(many: Connection) -> None:
    lease = explained(many, queue.next_candidates, Filter(), uuid4(), 2)
    assert "tweets_best" in lease
    assert "Sort  (" not in lease.partition("LockRows")[2]  # of what is chosen, not of all candidates
    listed = explained(many, queue.find, Filter(), 20)
    assert "Index Scan using tweets_best" in listed
    assert "Sort" not in listed
    posted = explained(many, queue.find, Filter("posted"), 20)
    assert "tweets_last_posted" in posted
    found = explained(many, queue.search, Search.read("c4ca4238a0b923820dcc509a6f75849b"), 20)
    assert "tweets_words" in found
    tweet = tweets.get_tweet(many, "demo", 2)
    assert tweet
    begun = explained(many, lambda connection, bot: queue.search(connection, bot, Search.read("c4ca4238*"), 20))
    assert "tweets_words" in begun
    near = explained(many, lambda connection, _: queue.near(connection, tweet, ["c4ca4238a0b923820dcc509a6f75849b"], 9))
    assert "tweets_words" in near
