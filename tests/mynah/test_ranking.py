"""Candidates in the order that the bot's curators like."""

from typing import Any

import pytest

from mynah import curation, ranking
from mynah.bot import Bot, FileSource
from mynah.database import rankings, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter
from mynah.database.tweets import NewTweet
from tests.mynah.test_liking import texts

BOT = Bot(name="demo", sources={"none": FileSource(url="none.txt")})


@pytest.fixture
def decided(connection: Connection) -> Connection:
    """60 texts that a person decided about, who likes questions; 20 more wait, and the judge likes none of them."""
    for text in texts(60):
        tweets.add_tweets(connection, "demo", [NewTweet(text, score=0.5)])
        (id,) = connection.execute("SELECT max(id) FROM tweets").fetchone() or (0,)
        decide(connection, id, "approved" if "?" in text else "rejected")
    tweets.add_tweets(connection, "demo", [NewTweet(text, score=0.5) for text in texts(80)[60:]])
    return connection


def decide(connection: Connection, id: int, state: str) -> None:
    tweets.decide(connection, "demo", id, state, "dull" if state == "rejected" else None)


def listed(connection: Connection) -> list[Any]:
    return curation.list_tweets(BOT, connection, Filter(), 100).tweets


def test_they_are_ranked_by_what_people_decided(decided: Connection) -> None:
    found = listed(decided)
    questions = ["?" in tweet.text for tweet in found]
    assert True in questions
    assert questions == sorted(questions, reverse=True)
    assert (found[0].scores["judged"], found[0].scores["liked"]) == (0.5, found[0].score)
    assert all(tweet.revision == 1 for tweet in found)
    learned = rankings.ranking(decided, "demo")
    assert learned
    assert learned.auc
    assert learned.auc > 0.9
    assert learned.approved + learned.rejected == 60


def test_it_is_learned_anew_after_some_decisions(decided: Connection) -> None:
    first = listed(decided)
    before = rankings.ranking(decided, "demo")
    for tweet in first[: ranking.AGAIN - 1]:
        decide(decided, tweet.id, "rejected")
    listed(decided)
    assert rankings.ranking(decided, "demo") == before
    decide(decided, first[-1].id, "rejected")
    listed(decided)
    after = rankings.ranking(decided, "demo")
    assert after
    assert before
    assert (after.rejected, after.decision_id > before.decision_id) == (before.rejected + 10, True)


def test_what_is_learned_for_new_texts_alone_leaves_the_others_to_be_ranked(decided: Connection) -> None:
    assert ranking.liking(decided, "demo")
    assert rankings.ranking(decided, "demo") is None
    assert all("liked" in tweet.scores for tweet in listed(decided))


def test_only_people_teach_and_what_is_put_back_does_not(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet(text, "rejected", "short: x") for text in texts(30)])
    tweets.add_tweets(connection, "demo", [NewTweet("One more of them.")])
    decide(connection, 31, "approved")
    assert rankings.decided(connection, "demo", 99) == [(31, "One more of them.", True)]
    decide(connection, 31, "candidate")
    assert rankings.decided(connection, "demo", 99) == []
    assert rankings.decided(connection, "other", 99) == []
    assert ranking.liking(connection, "demo") is None
