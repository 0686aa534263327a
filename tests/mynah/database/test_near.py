"""Earlier texts that are nearly the same."""

from mynah.database import near, tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet
from mynah.recitation import shingles
from mynah.text import same_text_key
from tests.near import jaccard

SAID = "The mynah repeats what nobody has ever asked it, and flies away."
LIKE = "The mynah repeats what nobody has ever asked it and then flies away"


def test_the_nearest_is_found_of_whatever_bot(connection: Connection) -> None:
    others = [NewTweet(f"Text number {number} of some bird that says {number * 7}.") for number in range(50)]
    tweets.add_tweets(connection, "other", [*others, NewTweet(SAID)])
    assert near.nearest(connection, LIKE) is None, "its bands are not computed yet"
    assert near.fill(connection) == 51
    assert near.fill(connection) == 0
    found = near.nearest(connection, LIKE)
    assert found
    assert (found.bot, found.text) == ("other", SAID)
    assert found.similarity == round(jaccard(shingles(same_text_key(LIKE)), shingles(same_text_key(SAID))), 3)
    assert near.nearest(connection, "Nothing of this was ever said by any bird.") is None


def test_an_edited_text_is_compared_as_it_is_now(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("Something else was said at first.")])
    near.fill(connection)
    tweets.edit(connection, "demo", 1, SAID)
    assert near.fill(connection) == 1
    assert near.nearest(connection, SAID.upper())
    assert near.nearest(connection, "Something else was said at first.") is None


def test_what_a_person_rejected_counts_and_what_a_rule_rejected_does_not(connection: Connection) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet(SAID, "rejected", "link: x")])
    near.fill(connection)
    assert near.nearest(connection, LIKE) is None
    tweets.decide(connection, "demo", 1, "candidate")
    tweets.decide(connection, "demo", 1, "rejected", "off topic")
    assert near.nearest(connection, LIKE)


def test_the_bands_are_looked_up_in_their_index(connection: Connection) -> None:
    connection.execute("INSERT INTO tweets (bot, text) SELECT 'demo', 'text ' || n FROM generate_series(1, 4000) AS n")
    connection.execute(
        "UPDATE tweet_bands SET bands = ARRAY[tweet_id, tweet_id + 1000000, tweet_id + 2000000, tweet_id + 3000000]"
    )
    connection.execute("ANALYZE; SET enable_seqscan = off")  # so few rows are read as quickly without an index
    plan = connection.execute(
        "EXPLAIN SELECT tweet_id FROM tweet_bands WHERE bands && %s::integer[]", [near.bands(SAID)]
    ).fetchall()
    assert "tweet_bands_shared" in str(plan)
