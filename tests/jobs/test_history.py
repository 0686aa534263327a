"""What was posted, where it comes from, and what people made of it."""

from decimal import Decimal
from pathlib import Path

import pytest

from jobs.history import history
from jobs.post import post
from jobs.react import read_reactions
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import posts, reactions
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet, add_tweets
from mynah.errors import MynahError
from tests.scripted_account import Scripted


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(f"file://{tmp_path / 'bucket'}")


def publish(bucket: Bucket, tmp_path: Path) -> tuple[str, str]:
    """A dataset of two sources and a model that was trained on it."""
    (folder := tmp_path / "files").mkdir()
    (folder / "file").write_text("x")
    dataset, model = "20261121T062141-0aba1d82", "20261121T072141-1aba1d82"
    bucket.publish(folder, {"raw": {"news": {"a": "1", "b": "2"}, "jokes": {"c": "3"}}}, "demo", "datasets", dataset)
    bucket.publish(folder, {"base": "smollm2-135m", "dataset": dataset}, "demo", "models", model)
    return dataset, model


def test_a_post_tells_its_lineage(bot: Bot, connection: Connection, bucket: Bucket, tmp_path: Path) -> None:
    dataset, model = publish(bucket, tmp_path)
    assert history("demo", bucket, connection, None, None, 20).summary() == "demo has posted nothing yet"
    new = NewTweet("one\ntwo", state="approved", model=model, prompt="The", seed=7, score=0.5)
    add_tweets(connection, "demo", [new, NewTweet("by hand", state="approved")])
    account = Scripted(post_cost=Decimal("0.015"))
    for _ in range(2):
        post(bot, "main", connection, account, pause=0)  # type: ignore[arg-type]
    read_reactions("demo", "main", connection, account, bot.post, print, 0)  # type: ignore[arg-type]
    shown = history("demo", bucket, connection, None, None, 20).summary().splitlines()
    assert len(shown) == 6
    place = shown.index("  one two")
    assert f"main  tweet 1  https://example.com/the-script/{account.posts.index(new.text) + 1}" in shown[place - 1]
    assert shown[place + 1] == (
        f"  7 likes · model {model} (from smollm2-135m), dataset {dataset}, sources news (2), jokes (1)"
    )
    assert shown[shown.index("  by hand") + 1] == "  7 likes · written by a person"

    (made,) = history("demo", bucket, connection, 1, None, 20).posts
    assert (made.state, made.cost, made.reactions, made.lineage.dataset) == ("posted", 0.015, {"likes": 7}, dataset)
    told = history("demo", bucket, connection, 1, None, 20).summary()
    assert "prompt    The" in told
    assert "seed      7" in told
    assert "approved by judge.approve_best" in told
    assert history("demo", bucket, connection, None, "news", 20).posts == []
    with pytest.raises(MynahError, match="bot demo has no tweet 9"):
        history("demo", bucket, connection, 9, None, 20)


def test_a_tweet_that_is_in_doubt_is_told_of(bot: Bot, connection: Connection, bucket: Bucket) -> None:
    add_tweets(connection, "demo", [NewTweet("one", state="approved", model="gone")])
    with pytest.raises(MynahError):
        post(bot, "main", connection, Scripted(["lose the request"]), pause=0)  # type: ignore[arg-type]
    told = history("demo", bucket, connection, 1, None, 20).summary()
    assert "main  tweet 1  unknown: the answer was lost" in told
    assert "model gone (no longer in the bucket)" in told


def test_likes_are_read_once_a_day_by_the_first_post(bot: Bot, connection: Connection) -> None:
    add_tweets(connection, "demo", [NewTweet(f"text {n}", state="approved") for n in range(4)])
    account = Scripted(read_cost=Decimal("0.001"))
    for _ in range(3):
        post(bot, "main", connection, account, pause=0)  # type: ignore[arg-type]
    assert len(account.reads) == 1  # the first post's
    connection.execute("UPDATE readings SET done_at = done_at - interval '1 day'")
    post(bot, "main", connection, account, pause=0)  # type: ignore[arg-type]
    assert len(account.reads) == 2
    assert [each.numbers for each in reactions.of_bot(connection, "demo")] == [{"likes": 6}] * 4


def test_only_the_last_days_are_read(bot: Bot, connection: Connection) -> None:
    add_tweets(connection, "demo", [NewTweet(f"text {n}", state="approved") for n in range(12)])
    account = Scripted()
    never = bot.model_copy(update={"post": bot.post.model_copy(update={"likes_days": 0})})
    for _ in range(12):
        post(never, "main", connection, account, pause=0)  # type: ignore[arg-type]
    assert account.reads == []
    connection.execute("UPDATE posts SET posted_at = posted_at - interval '8 days' WHERE post_id::int <= 2")
    read = read_reactions("demo", "main", connection, account, bot.post, print, 0)  # type: ignore[arg-type]
    assert read.summary().startswith("main: 10 posts of the last 7 days: 6")
    assert account.reads == [(8, None), (8, "8")]
    assert len(reactions.of_bot(connection, "demo")) == 10


def test_a_reading_of_likes_that_stops_goes_on(bot: Bot, connection: Connection) -> None:
    add_tweets(connection, "demo", [NewTweet(f"text {n}", state="approved") for n in range(12)])
    account = Scripted(failing=[True] * 3)
    for _ in range(12):
        post(bot, "main", connection, account, pause=0)  # type: ignore[arg-type]
    connection.execute("DELETE FROM readings")
    account.reads.clear()
    account.failing = [False, True, True, True]
    said: list[str] = []
    read = read_reactions("demo", "main", connection, account, bot.post, said.append, 0)  # type: ignore[arg-type]
    assert said == ["likes are not read: the timeline cannot be read"]
    assert read.summary().endswith("then it stopped: the timeline cannot be read")
    account.reads.clear()
    read_reactions("demo", "main", connection, account, bot.post, said.append, 0)  # type: ignore[arg-type]
    assert account.reads == [(8, "8")]


def test_numbers_are_kept_by_day(connection: Connection) -> None:
    add_tweets(connection, "demo", [NewTweet("one", state="approved")])
    row = posts.claim(connection, "demo", "main")
    assert row
    posts.record(connection, row.id, "1", "https://example.com/1")
    reactions.note(connection, {row.id: {"likes": 1}})
    connection.execute("UPDATE reactions SET day = day - 1")
    reactions.note(connection, {row.id: {"likes": 3}})
    reactions.note(connection, {row.id: {"likes": 4, "replies": 1}})
    reactions.note(connection, {row.id: {}})
    assert reactions.of_posts(connection, [row.id]) == {row.id: {"likes": 4, "replies": 1}}
    (count,) = connection.execute("SELECT count(*) FROM reactions").fetchone() or (0,)
    assert count == 2
