"""`mynah exporter`: what Prometheus reads of Postgres, anew at each scrape.

    mynah_database_up                             1, or 0 where Postgres did not answer: then there is nothing else
    mynah_tweets{bot, state}                      texts
    mynah_last_post_timestamp_seconds{bot}        only where there was a post
    mynah_stock_days{bot, account}                how many days the approved texts last, by the account's schedule
    mynah_stock_days_wanted{bot, account}         its stock_days: fewer are too few
    mynah_missed_posts{bot, account}              times of its schedule that were missed in the last day
    mynah_posts_for_a_person{bot, account}        posts in doubt that only a look at the account settles
    mynah_silent_accounts{bot, source}            accounts that gave texts and give none any more
    mynah_played_total{bot, what}                 what people did with the tweet API: a visit (a prompt was asked), a
                                                  prompt (it was new), a like, a report

Postgres may be away, or not migrated yet, when this process starts and at any time after: that is told, and asked again
at the next scrape.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
from prometheus_client import REGISTRY, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mynah.bot import find, load
from mynah.bot.post import Posting
from mynah.database import posts, prompts, silences, slots, tweets
from mynah.database.connection import Connection, reach
from mynah.errors import MynahError
from mynah.settings import Settings
from mynah.stock import stock_days

logger = logging.getLogger("serving")

ANSWER_SECONDS = 5.0  # for Postgres; Prometheus gives a scrape 10
# Of each account of each bot: a metric's name → what it tells.
ACCOUNTS = {
    "mynah_stock_days": "how many days the approved texts last",
    "mynah_stock_days_wanted": "how many days they should last at least",
    "mynah_missed_posts": "times of the schedule that were missed in the last day",
    "mynah_posts_for_a_person": "posts in doubt that only a look at the account settles",
}


@dataclass
class Counts:
    """What one look into Postgres finds."""

    texts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(bot, state) → texts."""
    last_posts: dict[str, datetime] = field(default_factory=dict)
    """bot → when it last posted."""
    accounts: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """(one of ACCOUNTS, bot, account) → its value."""
    silent: dict[tuple[str, str], int] = field(default_factory=dict)
    """(bot, source) → accounts."""
    played: dict[tuple[str, str], int] = field(default_factory=dict)
    """(bot, what) → how often, ever."""


class Tweets(Collector):
    """The counts as they are when Prometheus asks."""

    def __init__(
        self,
        settings: Settings,
        bots: list[str],
        seconds: float = ANSWER_SECONDS,
        accounts: Mapping[str, Mapping[str, Posting]] | None = None,
    ) -> None:
        """`accounts`: where each bot posts, as its bot file says."""
        self.settings, self.bots, self.seconds, self.accounts = settings, bots, seconds, accounts or {}
        # In a thread, because nothing else bounds how long a lookup, a lost network or a frozen server takes.
        self._executor = ThreadPoolExecutor(1, "postgres")
        self._reading: Future[Counts] | None = None
        self._said: str | None = None

    def describe(self) -> list[Metric]:
        return []  # or registering would already ask Postgres

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        yield GaugeMetricFamily("mynah_database_up", "whether Postgres answered", value=counts is not None)
        if counts is None:
            return
        texts = GaugeMetricFamily("mynah_tweets", "texts by state", labels=["bot", "state"])
        for (bot, state), count in counts.texts.items():
            texts.add_metric([bot, state], count)
        last = GaugeMetricFamily("mynah_last_post_timestamp_seconds", "when the last post was made", labels=["bot"])
        for bot, at in counts.last_posts.items():
            last.add_metric([bot], at.timestamp())
        for metric, words in ACCOUNTS.items():
            family = GaugeMetricFamily(metric, words, labels=["bot", "account"])
            for (name, bot, account), value in counts.accounts.items():
                if name == metric:
                    family.add_metric([bot, account], value)
            yield family
        silent = GaugeMetricFamily(
            "mynah_silent_accounts", "accounts that gave texts and give none any more", labels=["bot", "source"]
        )
        for (bot, source), count in counts.silent.items():
            silent.add_metric([bot, source], count)
        played = CounterMetricFamily("mynah_played", "what people did on the Play page", labels=["bot", "what"])
        for (bot, what), count in counts.played.items():
            played.add_metric([bot, what], count)
        yield from (texts, last, silent, played)

    def _counts(self) -> Counts | None:
        """What Postgres holds; None, and a line in the log, where it does not say within `seconds`."""
        if self._reading is None or self._reading.done():
            self._reading = self._executor.submit(self._read)
        trouble, counts = None, None
        try:
            counts = self._reading.result(self.seconds)
        except TimeoutError:
            trouble = f"Postgres has not answered for {self.seconds:g} s"
        except (MynahError, psycopg.Error) as error:
            trouble = str(error).splitlines()[0]
        if trouble != self._said:
            logger.warning(trouble or "Postgres answers again")
            self._said = trouble
        return counts

    def _read(self) -> Counts:
        """Raises MynahError or psycopg.Error."""
        counts = Counts()
        # Not settings.connect(), which waits two minutes for a migration.
        with reach(self.settings.database_url, self.settings.make_home()) as connection:
            for bot in self.bots:
                counts.texts |= {(bot, state): n for state, n in tweets.count_states(connection, bot).items()}
                counts.silent |= {(bot, source): n for source, n in silences.count(connection, bot).items()}
                counts.played |= {(bot, what): n for what, n in prompts.counts(connection, bot).items()}
                post = posts.last_post(connection, bot)
                if post and post.posted_at:
                    counts.last_posts[bot] = post.posted_at
                for name, section in self.accounts.get(bot, {}).items():
                    values = zip(ACCOUNTS, _account(connection, bot, name, section), strict=True)
                    counts.accounts |= {(metric, bot, name): value for metric, value in values if value is not None}
        return counts


def _account(connection: Connection, bot: str, name: str, section: Posting) -> Iterator[float | None]:
    """The values of ACCOUNTS; those of the stock are None where the account does not post by itself."""
    days = stock_days(posts.count_claimable(connection, bot, name), section, datetime.now(UTC))
    yield days
    yield None if days is None else section.stock_days
    yield len(slots.missed(connection, bot, name, 1))
    yield sum(row.for_a_person for row in posts.unknown(connection, bot, name))


def serve(settings: Settings, bots: list[str], port: int) -> None:
    """Answer Prometheus on every address of this pod, at `port`, until the process is ended.

    Raises UsageError where a bot's file is not there, or wrong.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    accounts = {bot: load(find(bot, settings.bots)).accounts_by_name() for bot in bots}
    REGISTRY.register(Tweets(settings, bots, accounts=accounts))
    start_http_server(port)
    threading.Event().wait()
