"""The posts table: a text goes to an account once, a time of the schedule has one post."""

import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from mynah.database import posts
from mynah.database.connection import Connection, connect
from mynah.database.posts import Post
from mynah.database.tweets import NewTweet, add_tweets, count_states, decide, edit, get_tweet

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALLOWED = {
    "claimed": {"posted", "unknown", "returned", "refused"},
    "unknown": {"posted", "returned", "refused"},
    "returned": {"claimed", "posted"},
    "refused": {"returned", "posted"},
    "posted": set(),
}


def approve(connection: Connection, *texts: str) -> None:
    add_tweets(connection, "bot", [NewTweet(text, state="approved") for text in texts])


def claim(connection: Connection, account: str = "main", slot: datetime | None = None) -> Post:
    post = posts.claim(connection, "bot", account, slot)
    assert post
    return post


def record(connection: Connection, post: Post) -> None:
    posts.record(connection, post.id, f"{post.id}", f"https://x.com/{post.account}/{post.id}")


def state(connection: Connection, id: int = 1) -> tuple[str, str, str | None]:
    tweet = get_tweet(connection, "bot", id)
    assert tweet
    return tweet.state, tweet.judgement, tweet.reason


def test_what_is_claimed_is_random_and_approved(connection: Connection) -> None:
    approve(connection, *(f"text {number}" for number in range(6)))
    add_tweets(connection, "bot", [NewTweet("perhaps"), NewTweet("no", state="rejected", reason="why")])
    add_tweets(connection, "other", [NewTweet("another bot's", state="approved")])
    orders = set()
    for _ in range(4):
        order = []
        while post := posts.claim(connection, "bot", "main"):
            order.append(post.text)
        assert sorted(order) == [f"text {number}" for number in range(6)]
        orders.add(tuple(order))
        for post in posts.abandoned(connection, "bot", "main"):
            posts.give_back(connection, post.id)
    assert len(orders) > 1


def test_each_account_gets_a_text_once(connection: Connection) -> None:
    approve(connection, "one")
    for account in ("main", "news"):
        assert posts.count_claimable(connection, "bot", account) == 1
        record(connection, claim(connection, account))
        assert posts.count_claimable(connection, "bot", account) == 0
        assert posts.claim(connection, "bot", account) is None
    assert state(connection) == ("posted", "approved", None)
    tweet = get_tweet(connection, "bot", 1)
    assert tweet
    assert tweet.post_id == "1"  # main's


def test_what_was_given_back_is_claimed_again(connection: Connection) -> None:
    approve(connection, "one")
    first = claim(connection, slot=NOON)
    assert state(connection)[0] == "posting"
    posts.give_back(connection, first.id, "the limit is reached")
    assert state(connection) == ("approved", "approved", None)
    (returned,) = posts.list_posts(connection, "bot", 9)
    assert (returned.state, returned.reason, returned.slot) == ("returned", "the limit is reached", None)
    assert edit(connection, "bot", 1, "One.")
    second = claim(connection)
    assert (second.id, second.attempts, second.text, second.reason) == (first.id, 2, "One.", None)
    assert second.claimed_at > first.claimed_at


def test_a_refused_text_waits_for_a_person(connection: Connection) -> None:
    approve(connection, "one")
    posts.refuse(connection, claim(connection).id, "it says 400")
    assert state(connection) == ("rejected", "approved", "it says 400")
    assert posts.claim(connection, "bot", "main") is None
    assert claim(connection, "news").text == "one"  # another account may take it
    posts.give_back(connection, posts.list_posts(connection, "bot", 1, "news")[0].id)
    assert state(connection) == ("rejected", "approved", "it says 400")

    assert decide(connection, "bot", 1, "approved")  # try again
    assert state(connection) == ("approved", "approved", None)
    posts.refuse(connection, claim(connection).id, "it says 400")
    assert edit(connection, "bot", 1, "One.")  # a person who edits has not yet approved
    assert state(connection) == ("rejected", "rejected", "it says 400")
    assert posts.claim(connection, "bot", "main") is None
    assert decide(connection, "bot", 1, "approved")
    assert claim(connection).text == "One."


def test_a_person_rejects_what_was_refused(connection: Connection) -> None:
    approve(connection, "one")
    posts.refuse(connection, claim(connection).id, "it says 400")
    assert decide(connection, "bot", 1, "rejected", "rightly so")
    assert state(connection) == ("rejected", "rejected", "rightly so")
    assert posts.claim(connection, "bot", "news") is None
    assert decide(connection, "bot", 1, "candidate")
    assert state(connection) == ("candidate", "candidate", None)


def test_what_nobody_knows_waits_for_a_person(connection: Connection) -> None:
    approve(connection, "one")
    posts.doubt(connection, claim(connection).id, "the answer was lost")
    assert state(connection) == ("unknown", "approved", "the answer was lost")
    assert posts.claim(connection, "bot", "main") is None
    (unknown,) = posts.unknown(connection, "bot", "main")
    assert decide(connection, "bot", 1, "rejected", "never mind")
    assert state(connection) == ("rejected", "rejected", "never mind")
    assert posts.list_posts(connection, "bot", 9, state="returned")[0].id == unknown.id
    assert decide(connection, "bot", 1, "approved")
    record(connection, claim(connection))
    assert state(connection)[0] == "posted"


def test_the_most_pressing_of_its_posts_is_a_tweets_state(connection: Connection) -> None:
    approve(connection, "one")
    record(connection, claim(connection))
    news = claim(connection, "news")
    assert state(connection)[0] == "posting"
    posts.doubt(connection, news.id, "lost")
    assert state(connection) == ("unknown", "approved", "lost")
    assert decide(connection, "bot", 1, "rejected", "look no further")
    assert state(connection)[0] == "posted"
    tweet = get_tweet(connection, "bot", 1)
    assert tweet
    assert (tweet.post_url, tweet.judgement) == ("https://x.com/main/1", "rejected")
    assert posts.claim(connection, "bot", "news") is None


@pytest.mark.parametrize("end", sorted(ALLOWED))
@pytest.mark.parametrize("begin", sorted(ALLOWED))
def test_only_the_drawn_ways_lead_from_state_to_state(connection: Connection, begin: str, end: str) -> None:
    approve(connection, "one")
    claim(connection)

    def move(to: str) -> None:
        facts = "post_id = 'p', posted_at = now()" if to == "posted" else "post_id = NULL, posted_at = NULL"
        connection.execute(f"UPDATE posts SET state = %s, reason = 'why', {facts}", [to])

    if begin != "claimed":
        move(begin)
    if end == begin or end in ALLOWED[begin]:
        move(end)
    else:
        with pytest.raises(psycopg.errors.CheckViolation, match=f"cannot go from {begin} to {end}"):
            move(end)


def test_a_time_of_the_schedule_has_one_post_an_account(connection: Connection) -> None:
    approve(connection, "one", "two", "three")
    assert posts.slot_post(connection, "bot", "main", NOON) is None
    first = claim(connection, slot=NOON)
    assert posts.slot_post(connection, "bot", "main", NOON) == first
    assert posts.claim(connection, "bot", "main", NOON) is None
    assert claim(connection, "news", NOON).slot == NOON
    posts.refuse(connection, first.id, "it says 400")
    assert posts.slot_post(connection, "bot", "main", NOON) is None
    second = claim(connection, slot=NOON)
    assert second.tweet_id != first.tweet_id
    third = claim(connection)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("UPDATE posts SET slot = %s WHERE id = %s", [NOON, third.id])


def test_two_posters_never_claim_the_same_tweet(connection: Connection, database_url: str, tmp_path: Path) -> None:
    approve(connection, *(f"text {n}" for n in range(40)))
    claimed: list[tuple[str, int]] = []

    def poster(account: str) -> None:
        with connect(database_url, tmp_path) as own:
            while post := posts.claim(own, "bot", account):
                claimed.append((account, post.tweet_id))

    threads = [threading.Thread(target=poster, args=[account]) for account in ("main", "main", "main", "news", "news")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 80


def test_one_of_many_gets_a_time_of_the_schedule(connection: Connection, database_url: str, tmp_path: Path) -> None:
    approve(connection, *(f"text {n}" for n in range(40)))
    claimed: list[Post] = []
    ready = threading.Barrier(6)

    def poster() -> None:
        with connect(database_url, tmp_path) as own:
            ready.wait()
            if post := posts.claim(own, "bot", "main", NOON):
                claimed.append(post)

    threads = [threading.Thread(target=poster) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claimed == [posts.slot_post(connection, "bot", "main", NOON)]


def test_the_only_text_is_waited_for_while_another_account_takes_it(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    approve(connection, "one")
    got: list[Post | None] = []

    def poster() -> None:
        with connect(database_url, tmp_path) as own:
            got.append(posts.claim(own, "bot", "news"))

    thread = threading.Thread(target=poster)
    with connection.transaction():
        claim(connection)
        thread.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with psycopg.connect(database_url, autocommit=True) as watch:
            while not watch.execute(waiting).fetchone():
                assert thread.is_alive()
                time.sleep(0.02)
    thread.join()
    assert got[0]
    assert got[0].account == "news"


def test_a_post_is_recorded_once(connection: Connection) -> None:
    approve(connection, "one", "two")
    first, second = claim(connection), claim(connection)
    posts.record(connection, first.id, "99", "https://x.com/i/status/99")
    posts.record(connection, first.id, "99", "https://x.com/i/status/99")
    with pytest.raises(psycopg.errors.UniqueViolation):
        posts.record(connection, second.id, "99", "https://x.com/i/status/99")
    assert count_states(connection, "bot") | {"posted": 1, "posting": 1} == count_states(connection, "bot")
    posts.record(connection, second.id, "99", "https://mastodon.social/@bot/99")  # ids of two servers may be equal


def test_what_turns_up_after_it_was_given_back_is_recorded(connection: Connection) -> None:
    approve(connection, "one", "two")
    late = claim(connection, slot=NOON)
    posts.give_back(connection, late.id)
    record(connection, late)
    assert state(connection, late.tweet_id)[0] == "posted"
    assert claim(connection).tweet_id != late.tweet_id


def test_the_claims_of_a_killed_poster_are_in_doubt(connection: Connection) -> None:
    approve(connection, "one", "two")
    mine, other = claim(connection), claim(connection, "news")
    (abandoned,) = posts.abandoned(connection, "bot", "main")
    assert (abandoned.id, abandoned.state, abandoned.reason) == (mine.id, "unknown", "its poster was killed")
    assert posts.unknown(connection, "bot", "main") == [abandoned]
    assert posts.abandoned(connection, "bot", "main") == []
    assert posts.list_posts(connection, "bot", 9, state="claimed")[0].id == other.id


def test_what_came_to_nothing_goes_back_behind_the_others(connection: Connection) -> None:
    approve(connection, "one", "two")
    first = claim(connection)
    assert posts.give_back(connection, first.id, "it says 503")
    second = claim(connection)
    assert second.tweet_id != first.tweet_id
    again = claim(connection)
    assert (again.id, again.failures, again.failed_at) == (first.id, 1, first.claimed_at)


def test_what_comes_to_nothing_too_often_is_for_a_person(connection: Connection) -> None:
    approve(connection, "one")
    for _ in range(7):  # the account takes nothing: no fault of the text
        assert posts.give_back(connection, claim(connection).id, "it says 401")
    approve(connection, "two")
    record(connection, claim(connection))
    assert not posts.give_back(connection, claim(connection).id, "it says 403")
    assert state(connection) == ("rejected", "approved", "8 attempts came to nothing; the last: it says 403")
    assert decide(connection, "bot", 1, "approved")
    assert claim(connection).failures == 0


def test_what_was_stored_with_a_claim_stays_while_the_text_does(connection: Connection) -> None:
    approve(connection, "one")
    first = claim(connection)
    assert first.record is None
    posts.keep(connection, first.id, {"key": "abc"}, Decimal("0.015"))
    posts.give_back(connection, first.id)
    again = claim(connection)
    assert (again.record, again.cost) == ({"key": "abc"}, 0)
    posts.give_back(connection, first.id)
    edit(connection, "bot", 1, "One.")
    assert claim(connection).record is None


def test_the_newest_post(connection: Connection) -> None:
    assert posts.last_post(connection, "bot") is None
    approve(connection, "one", "two")
    record(connection, claim(connection))
    second = claim(connection, "news")
    record(connection, second)
    last = posts.last_post(connection, "bot")
    assert last
    assert last.id == second.id
    assert [post.account for post in posts.list_posts(connection, "bot", 9)] == ["news", "main"]


def test_a_posted_tweet_stays(connection: Connection) -> None:
    approve(connection, "one")
    record(connection, claim(connection))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute("DELETE FROM tweets")


def test_only_one_poster_works_at_a_time(connection: Connection, database_url: str, tmp_path: Path) -> None:
    with (
        connect(database_url, tmp_path) as other,
        posts.poster_lock(connection, "bot", "main") as first,
        posts.poster_lock(other, "bot", "main") as second,
        posts.poster_lock(other, "bot", "news") as third,
        posts.poster_lock(other, "another", "main") as fourth,
    ):
        assert (first, second, third, fourth) == (True, False, True, True)
    with posts.poster_lock(connection, "bot", "main") as again:
        assert again
