"""Posters in a storm: `make storm`. Half of them are killed, some run in pairs, and the service is at its worst.

It takes a post and cuts the answer off, answers late, by half, by HTML or by 503; it loses requests and refuses them;
it does some only after it hung up; one read in four fails; its clock is wrong, and a post shows late. Then the sea is
calm, and what the service was told is compared with what Postgres says: no text may be there twice, no post may be
unknown to us, no text may be lost, and once the settling time is over nothing may be in doubt.
"""

import contextlib
import io
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.accounts import open_account
from jobs.post import post
from mynah.bot import load
from mynah.database import tweets
from mynah.database.connection import Connection, connect
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.bench.services import SERVICES, Service, opened_service

ENOUGH = 0.97  # of the texts are posted, or in doubt, when the calm comes
PAUSE = 0.05  # seconds before a poster looks again; a person's waits 3
# What a poster imports, imported once: each is forked from a process that did. (As `python -m`, each would import this
# module once more, as __main__: so the Makefile imports it.)
PRELOADED = ["tests.bench.storm", "tweepy", "mastodon", "httpx", "psycopg", "jobs.accounts.x"]
PRELOADED += ["jobs.accounts.mastodon", "jobs.accounts.bluesky", "cryptography.hazmat.primitives.ciphers.aead"]


@dataclass(frozen=True)
class Outcome:
    """What the storm left. `twice`, `unrecorded`, `lost` and `in_doubt` should be empty."""

    service: str
    runs: int
    killed: int
    pairs: int
    posts: int
    """On the service."""
    twice: list[str]
    """Texts that the service has more than once."""
    unrecorded: list[str]
    """Texts that the service has, and Postgres does not call posted."""
    lost: list[str]
    """Texts that Postgres calls posted, and the service has not; and those that are neither posted nor refused."""
    in_doubt: int
    """Rows of whose fate nobody knows."""
    refused: int
    """Texts that came to nothing too often, and are a person's."""
    doubts: int
    """Rows that were in doubt at the end of a run, at one time or other."""
    reads: int
    """Requests that read."""
    dollars: float
    """What was spent on reading."""
    seconds: float

    @property
    def good(self) -> bool:
        return not (self.twice or self.unrecorded or self.lost or self.in_doubt)

    def __str__(self) -> str:
        faults = f"{len(self.twice)} twice, {len(self.unrecorded)} unrecorded, {len(self.lost)} lost"
        each = self.dollars / self.posts if self.posts else 0
        return (
            f"{self.service}: {self.posts} posts: {faults}, {self.in_doubt} in doubt, {self.refused} for a person\n"
            f"  {self.runs} runs of the poster, {self.killed} of them killed, {self.pairs} pairs at once; "
            f"{self.doubts} posts were in doubt\n"
            f"  {self.reads} requests that read, ${self.dollars:.3f}, ${each:.4f} a post; {self.seconds:.0f} s"
        )


def poster(bot: Path, environment: Mapping[str, str]) -> None:
    """One run of the poster, as `mynah post` makes it."""
    settings = Settings.read(environment)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(MynahError):
        loaded = load(bot)
        account = open_account(loaded, "main", settings)
        with settings.connect() as connection:
            post(loaded, "main", connection, account, pause=PAUSE)


def storm(home: Path, connection: Connection, service: Service, number: int, seed: int, settle: float) -> Outcome:
    """Posters of one bot put `number` texts on a service in a storm, and then in a calm. They work in `home`.

    `settle`: seconds after which a post that does not show was not made.
    """
    begun = time.monotonic()
    home.mkdir(parents=True)
    section = {**service.section, "settle_minutes": settle / 60, "likes_days": 0}
    sections = {"sources": {"none": {"url": "none.txt"}}, "accounts": {"main": section}}
    bot = home / f"{service.name}.yaml"
    bot.write_text(json.dumps({"bots": {service.name: sections}}), encoding="utf-8")
    texts = [f"the text number {index} of {number}" for index in range(number)]
    tweets.add_tweets(connection, service.name, [tweets.NewTweet(text, state="approved") for text in texts])
    environment = {**os.environ, **service.environment, "DATABASE_URL": connection.info.dsn, "MYNAH_HOME": str(home)}
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOADED)
    chance = random.Random(seed)
    runs = killed = pairs = told = 0
    doubtful: set[int] = set()

    def start() -> multiprocessing.process.BaseProcess:
        process = forks.Process(target=poster, args=(bot, environment), daemon=True)
        process.start()
        return process

    def states() -> dict[str, int]:
        query = "SELECT state, count(*) FROM posts WHERE bot = %s GROUP BY state"
        return dict(connection.execute(query, [service.name]).fetchall())

    def tried() -> int:
        now = states()
        return now.get("posted", 0) + now.get("unknown", 0) + now.get("claimed", 0)

    while tried() < ENOUGH * number and runs < 8 * number:
        posters = [start() for _ in range(2 if chance.random() < 0.2 else 1)]
        pairs += len(posters) == 2
        for each in posters:
            runs += 1
            if chance.random() < 0.5:
                each.join(chance.uniform(0.02, 0.6))
                if each.is_alive():
                    each.kill()
                    killed += 1
        for each in posters:
            each.join()
        query = "SELECT id FROM posts WHERE bot = %s AND state IN ('claimed', 'unknown')"
        doubtful |= {id for (id,) in connection.execute(query, [service.name])}
        if (done := states().get("posted", 0)) - told >= max(10, number // 20):
            told = done
            print(f"{service.name}: {done} of {number} posted, {runs} runs", file=sys.stderr, flush=True)
    service.weather.raging = False
    calm = time.monotonic()
    while True:
        start().join()
        runs += 1
        now = states()
        done = now.get("posted", 0) + now.get("refused", 0)
        if done == number or time.monotonic() - calm > 4 * settle + number:
            break
        if not tweets.count_states(connection, service.name)["approved"]:
            time.sleep(settle / 10)  # what is left is in doubt, until its time is over
    there = Counter(service.texts())
    query = "SELECT text, state FROM posts WHERE bot = %s"
    known = {str(text): str(state) for text, state in connection.execute(query, [service.name])}
    posted = {text for text, state in known.items() if state == "posted"}
    return Outcome(
        service=service.name,
        runs=runs,
        killed=killed,
        pairs=pairs,
        posts=sum(there.values()),
        twice=[text for text, count in there.items() if count > 1],
        unrecorded=sorted(there.keys() - posted),
        lost=sorted(posted - there.keys()) + [text for text in texts if known.get(text) not in ("posted", "refused")],
        in_doubt=sum(state in ("unknown", "claimed") for state in known.values()),
        refused=sum(state == "refused" for state in known.values()),
        doubts=len(doubtful),
        reads=service.weather.reads,
        dollars=service.dollars(),
        seconds=time.monotonic() - begun,
    )


def main() -> None:
    """storm.py [NUMBER [SERVICE [SEED]]]: print what the storms left; exit 1 where something is wrong."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Postgres is ended too
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    services = [sys.argv[2]] if len(sys.argv) > 2 else [*SERVICES]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, connect(None, Path(folder)) as connection:
        for name in services:
            with opened_service(name, Path(folder) / f"{name}-service", seed) as service:
                outcomes.append(storm(Path(folder) / name, connection, service, number, seed, settle=15))
    print("\n".join(map(str, outcomes)))
    sys.exit(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    sys.exit("run `make storm N=1000 SERVICE=x`: each poster would import this module once more")
