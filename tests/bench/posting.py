"""How fast a poster starts, and how fast Postgres answers with 100,000 tweets and posts: `make bench PART=posting`.

poster    `mynah post` against the X simulator, without jitter, beside `python -c "import psycopg, tweepy"`, by turns
database  what a poster, a curator and `mynah status` ask, each several times; the middle one counts
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from jobs.status import account_status
from mynah.bot.post import Post
from mynah.database import budget, posts, queue, slots, tweets
from mynah.database.connection import Connection, connect
from mynah.database.queue import Filter
from mynah.database.tweets import NewTweet, add_tweets
from mynah.search import Search
from simulators.x.api import DEMO_KEYS
from tests.bench.many import BOT, TWEETS, fill
from tests.x import simulated

MOST_TIMES, MOST_SECONDS = 2.5, 0.050
RUNS = 7
FILE = "bots: {demo: {sources: {none: {url: none.txt}}}}\n"


def questions(connection: Connection) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is asked of Postgres, by name; nothing of it stays."""

    def undone(ask: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with connection.transaction(force_rollback=True):
                return ask()

        return run

    now = datetime.now(UTC)
    yield "claim", undone(lambda: posts.claim(connection, BOT, "main", now))
    yield "claim for the second account", undone(lambda: posts.claim(connection, BOT, "news", now))
    yield "count what is left", lambda: posts.count_claimable(connection, BOT, "main")
    yield "what is in doubt", lambda: posts.unknown(connection, BOT, "main")
    yield "a post from before", lambda: posts.newest_before(connection, BOT, "main", now - timedelta(days=1))
    yield "what was spent", lambda: budget.used(connection, BOT, "main")
    yield "times that were missed", undone(lambda: slots.miss_before(connection, BOT, "main", now))
    yield "list candidates", lambda: queue.find(connection, BOT, Filter("candidate"), 20)
    yield "list posted tweets", lambda: queue.find(connection, BOT, Filter("posted"), 20)
    yield "list posts", lambda: posts.list_posts(connection, BOT, 20, "main", "posted")
    yield "lease", undone(lambda: queue.next_candidates(connection, BOT, Filter("candidate"), uuid4(), 5))
    for kind, words in ("rare", "w4321"), ("common", "w3"), ("several", "w17 w300"):
        search = Search.read(words)
        yield f"search, {kind}", lambda search=search: queue.search(connection, BOT, search, 20)
    yield "count states", lambda: tweets.count_states(connection, BOT)
    yield "status of an account", lambda: account_status(BOT, "main", Post(), connection, now)


def database() -> bool:
    """Print how long each answer takes; True where all are fast enough."""
    good = True
    with tempfile.TemporaryDirectory() as folder, connect(None, Path(folder)) as connection:
        begin = time.perf_counter()
        fill(connection)
        print(f"{TWEETS:,} tweets and as many posts, written in {time.perf_counter() - begin:.0f} s")
        for name, ask in questions(connection):
            took = []
            for _ in range(RUNS):
                begin = time.perf_counter()
                ask()
                took.append(time.perf_counter() - begin)
            middle = statistics.median(took)
            good = good and middle < MOST_SECONDS
            print(f"  {name:<30} {1000 * middle:6.1f} ms   slowest {1000 * max(took):6.1f} ms")
    return good


def poster() -> bool:
    """Print how long a post takes beside the imports that it cannot do without; True where it is fast enough."""
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as folder, connect(None, Path(folder)) as connection:
        home = Path(folder)
        (home / "bots").mkdir()
        (home / "bots/demo.yaml").write_text(FILE, encoding="utf-8")
        add_tweets(connection, BOT, [NewTweet(f"the text number {n}", state="approved") for n in range(RUNS + 1)])
        with simulated(home / "x.jsonl") as url:
            environment = os.environ | DEMO_KEYS | {"X_API_URL": url, "MYNAH_HOME": folder}
            environment["DATABASE_URL"] = connection.info.dsn

            def seconds(*command: str) -> float:
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, *command], cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL
                )
                return time.perf_counter() - begin

            seconds("-m", "mynah", "post", "demo")  # the first of a day reads the likes
            for _ in range(RUNS):
                bare.append(seconds("-c", "import psycopg, tweepy"))
                ours.append(seconds("-m", "mynah", "post", "demo"))
    times = statistics.median(ours) / statistics.median(bare)
    for name, took in (("import psycopg, tweepy", bare), ("mynah post", ours)):
        print(f"{name:<24} {statistics.median(took):.2f} s   {min(took):.2f} to {max(took):.2f}")
    print(f"{times:.2f} times as long; at most {MOST_TIMES}")
    return times <= MOST_TIMES


def main() -> None:
    """posting.py: print both; exit 1 where one is too slow."""
    fast = [poster(), database()]
    sys.exit(not all(fast))


if __name__ == "__main__":
    main()
