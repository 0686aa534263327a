"""python -m serving.stock PORT CONNECTION BOT…: what Prometheus reads of Postgres, anew at each scrape.

mynah_tweets{bot, state} and mynah_last_post_timestamp_seconds{bot}. CONNECTION is libpq's string; "" leaves it to PG*.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mynah import database


class Stock(Collector):
    """The counts as they are when Prometheus asks; an error where Postgres does not answer."""

    def __init__(self, connection: str, bots: list[str]) -> None:
        self.connection, self.bots = connection, bots

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # or registering would already ask Postgres

    def collect(self) -> Iterator[GaugeMetricFamily]:
        tweets = GaugeMetricFamily("mynah_tweets", "texts by state", labels=["bot", "state"])
        last = GaugeMetricFamily("mynah_last_post_timestamp_seconds", "when the last post was made", labels=["bot"])
        with database.connect(self.connection, Path("/tmp")) as connection:  # noqa: S108 — unused with a connection
            for bot in self.bots:
                for state, count in database.count_states(connection, bot).items():
                    tweets.add_metric([bot, state], count)
                for tweet in database.list_tweets(connection, bot, "posted", 1):
                    if tweet.posted_at:
                        last.add_metric([bot], tweet.posted_at.timestamp())
        yield tweets
        yield last


if __name__ == "__main__":
    port, connection, *bots = sys.argv[1:]
    REGISTRY.register(Stock(connection, bots))
    start_http_server(int(port))
    while True:
        time.sleep(3600)
