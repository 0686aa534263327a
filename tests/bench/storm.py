"""Posters in a storm: `make storm`. Half of them are killed, some run in pairs, and X is at its worst.

X takes a post and cuts the answer off, answers late, loses requests, says 503 and 429, gives half answers, and fails
one read in four. In the end the sea is calm, and what X was told is compared with what Postgres says: no text may be
there twice, no post may be unknown to us, and no text may be lost.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from mynah.database import tweets
from mynah.database.connection import Connection, connect
from mynah.journal import opened
from simulators.x.access import LIMITS
from simulators.x.api import DEMO_KEYS, application

BOT = "bots: {demo: {sources: {none: {url: none.txt}}}}\n"
CALM_RUNS = 100  # posters after the storm, at most: each settles what it can
LATE = 2.0  # seconds

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Cut(Exception):
    """Ends a connection without an answer."""


class Storm:
    """ASGI middleware: what happens to a request on its way to X and back."""

    def __init__(self, app: App, seed: int) -> None:
        self.app, self.random, self.raging = app, random.Random(seed), True

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if not self.raging:
            await self.app(scope, receive, send)
            return
        if scope["method"] == "GET":
            fate = self.random.choice(["503", "fine", "fine", "fine"])
        else:
            fate = self.random.choice(
                ["cut", "late", "lost", "503", "503 after", "429", "half", "fine", "fine", "fine"]
            )
        if fate == "lost":
            raise Cut
        if fate in ("503", "429"):
            headers = [(b"x-rate-limit-reset", str(int(time.time())).encode())]
            await send({"type": "http.response.start", "status": int(fate), "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})
            return

        async def changed(message: Message) -> None:
            if fate == "cut":
                raise Cut
            if fate == "late":
                await asyncio.sleep(LATE)
            if fate == "503 after" and message["type"] == "http.response.start":
                message = {**message, "status": 503}
            if fate == "half" and message["type"] == "http.response.body":
                message = {**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True}
                await send(message)
                raise Cut
            await send(message)

        await self.app(scope, receive, changed)


@dataclass(frozen=True)
class Outcome:
    """What the storm left. `twice`, `lost` and `unrecorded` should be empty."""

    runs: int
    killed: int
    pairs: int
    posts: int
    twice: list[str]
    """Texts that X has more than once."""
    unrecorded: list[str]
    """Texts that X has, and Postgres does not call posted."""
    lost: list[str]
    """Texts that Postgres calls posted, and X has not."""
    states: dict[str, int]
    """Tweets by state."""

    def __str__(self) -> str:
        faults = f"{len(self.twice)} twice, {len(self.unrecorded)} unrecorded, {len(self.lost)} lost"
        states = ", ".join(f"{number} {state}" for state, number in self.states.items() if number)
        head = f"{self.runs} runs of the poster, {self.killed} of them killed, {self.pairs} pairs at once"
        return f"{head}: {self.posts} posts, {faults}; tweets: {states}"


def storm(home: Path, connection: Connection, runs: int, seed: int) -> Outcome:
    """`runs` posters of one bot against an X in a storm, then a calm one. They work in `home`, which is made."""
    (home / "bots").mkdir(parents=True)
    (home / "bots/demo.yaml").write_text(BOT, encoding="utf-8")
    texts = [tweets.NewTweet(f"the text number {number} of {runs}", state="approved") for number in range(runs)]
    tweets.add_tweets(connection, "demo", texts)
    LIMITS.update(dict.fromkeys(LIMITS, 1_000_000))  # more posts in a quarter of an hour than X would take
    chance = random.Random(seed)
    killed = pairs = 0
    with opened(home / "x.jsonl") as journal:
        weather = Storm(application(journal), seed)
        config = uvicorn.Config(weather, port=0, log_level="critical", lifespan="off")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        environment = os.environ | DEMO_KEYS | {"X_API_URL": f"http://127.0.0.1:{port}"}
        environment |= {"DATABASE_URL": connection.info.dsn, "MYNAH_HOME": str(home)}

        def start() -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "mynah", "post", "demo"]
            return subprocess.Popen(
                command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

        def age() -> None:
            """Let the time pass that the next poster would wait for, to know what became of an attempt."""
            connection.execute(
                "UPDATE posts SET claimed_at = claimed_at - interval '11 minutes' WHERE state = 'claimed'"
            )

        done = 0
        while done < runs:
            posters = [start() for _ in range(2 if chance.random() < 0.3 and done + 2 <= runs else 1)]
            pairs += len(posters) == 2
            for poster in posters:
                done += 1
                if chance.random() < 0.5:
                    try:
                        poster.wait(chance.uniform(0.2, 2.0))
                    except subprocess.TimeoutExpired:
                        poster.send_signal(signal.SIGKILL)
                        killed += 1
            for poster in posters:
                poster.wait()
            if chance.random() < 0.5:
                age()
            if done % 50 == 0:
                print(f"{done} of {runs}", file=sys.stderr, flush=True)
        weather.raging = False
        for _ in range(CALM_RUNS):
            age()
            start().wait()
            states = tweets.count_states(connection, "demo")
            if not states["posting"] and not states["unknown"]:
                break
        server.should_exit = True
        thread.join()
        at_x = Counter(str(line["text"]) for line in journal.lines if line.get("event") == "posted")
    posted = {text for (text,) in connection.execute("SELECT text FROM posts WHERE state = 'posted'")}
    return Outcome(
        runs=done,
        killed=killed,
        pairs=pairs,
        posts=sum(at_x.values()),
        twice=[text for text, count in at_x.items() if count > 1],
        unrecorded=sorted(at_x.keys() - posted),
        lost=sorted(posted - at_x.keys()),
        states=states,
    )


def main() -> None:
    """storm.py [RUNS [SEED]]: print what the storm left; exit 1 where something is twice, unrecorded or lost."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder, connect(None, Path(folder)) as connection:
        outcome = storm(Path(folder) / "home", connection, runs, seed)
    print(outcome)
    sys.exit(bool(outcome.twice or outcome.unrecorded or outcome.lost))


if __name__ == "__main__":
    main()
