"""What Prometheus reads of Postgres."""

import os

from prometheus_client import generate_latest

from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.settings import Settings
from serving.exporter import Tweets


def test_prometheus_reads_the_texts_by_state_from_postgres(database_url: str, connection: Connection) -> None:
    settings = Settings.read({**os.environ, "DATABASE_URL": database_url})
    tweets.add_tweets(connection, "demo", [tweets.NewTweet("one"), tweets.NewTweet("two", state="approved")])
    metrics = generate_latest(Tweets(settings, ["demo"])).decode()
    assert 'mynah_tweets{bot="demo",state="approved"} 1.0' in metrics
    assert 'mynah_tweets{bot="demo",state="posted"} 0.0' in metrics
    assert "mynah_last_post_timestamp_seconds{" not in metrics
    post = posts.claim(connection, "demo", "main")
    assert post
    posts.record(connection, post.id, "7", "https://x.com/i/web/status/7")
    assert 'mynah_last_post_timestamp_seconds{bot="demo"}' in generate_latest(Tweets(settings, ["demo"])).decode()
