"""python -m serving.exporter PORT CONNECTION BOT…: what Prometheus reads of Postgres, anew at each scrape.

mynah_tweets{bot, state} and mynah_last_post_timestamp_seconds{bot}. CONNECTION is libpq's string; "" leaves it to PG*.
"""

import threading
from collections.abc import Iterator

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mynah.database import posts, tweets
from mynah.settings import Settings


class Tweets(Collector):
    """The counts as they are when Prometheus asks; an error where Postgres does not answer."""

    def __init__(self, settings: Settings, bots: list[str]) -> None:
        self.settings, self.bots = settings, bots

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # or registering would already ask Postgres

    def collect(self) -> Iterator[GaugeMetricFamily]:
        texts = GaugeMetricFamily("mynah_tweets", "texts by state", labels=["bot", "state"])
        last = GaugeMetricFamily("mynah_last_post_timestamp_seconds", "when the last post was made", labels=["bot"])
        with self.settings.connect() as connection:
            for bot in self.bots:
                for state, count in tweets.count_states(connection, bot).items():
                    texts.add_metric([bot, state], count)
                post = posts.last_post(connection, bot)
                if post and post.posted_at:
                    last.add_metric([bot], post.posted_at.timestamp())
        yield texts
        yield last


def serve(settings: Settings, bots: list[str], port: int) -> None:
    """Answer Prometheus on every address of this pod, at `port`, until the process is ended."""
    REGISTRY.register(Tweets(settings, bots))
    start_http_server(port)
    threading.Event().wait()
