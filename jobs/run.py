"""The whole loop, once, on this machine: every step is the verb of that name, in a process of its own.

A step's process ends with everything it held (the trainer's memory, the model), and dies with this one.
"""

import ctypes
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from jobs.status import dev_losses
from mynah import database
from mynah.bot import Bot
from mynah.errors import MynahError
from mynah.settings import Settings

STEPS = ("scrape", "dataset", "train", "serve", "generate", "post")
READY_WITHIN = 180.0  # seconds a model may take to load


@dataclass(frozen=True)
class Report:
    """What the loop did and how it stands."""

    bot: str
    seconds: dict[str, float]
    model: dict[str, Any]
    plot: str
    texts: list[dict[str, Any]]
    tweets: dict[str, int]
    approve_best: int
    posted: dict[str, Any]

    def summary(self) -> str:
        lines = [
            f"dev loss   {dev_losses(self.model['metrics'])}",
            f"plot       {self.plot}",
            f"model      {self.model['address']}",
            f"tweets     {', '.join(f'{number} {state}' for state, number in self.tweets.items() if number)}",
            "",
            f"The best texts of this model ({self._who()}):",
            *(f"  {text['score']:.2f}  {text['state']:<9}  {text['text']}" for text in self.texts),
            "",
            self.posted["summary"],
        ]
        return "\n".join(lines)

    def _who(self) -> str:
        if self.approve_best:
            return f"judge.approve_best: {self.approve_best} of each generation are approved without a person"
        return f"a person approves them: mynah curate {self.bot} approve ID …"


def run_loop(bot: Bot, file: str, overrides: Sequence[str], settings: Settings, again: str | None) -> Report:
    """Run every step of `bot`'s loop that is not done, then say how it went.

    `file` and `overrides` are handed on to each verb. `again` repeats dataset, train or generate and what
    follows. Raises MynahError when a step fails; it has said why by then.
    """
    steps = _Steps(bot.name, file, overrides)
    repeat = STEPS[STEPS.index(again) :] if again else ()

    steps.show("scrape", steps.verb("scrape"))
    steps.show("dataset", steps.verb("dataset", *(["--again"] if "dataset" in repeat else [])))
    trained = steps.verb("train", *(["--again"] if "train" in repeat else []))
    steps.show("train", trained)
    model = str(trained["id"])

    with settings.connect() as connection:
        waiting = database.count_waiting(connection, bot.name, model)
        if waiting and "generate" not in repeat:
            print(f"  serve, generate: {waiting} texts of this model wait already", file=sys.stderr)
        else:
            with steps.server() as endpoint:
                steps.show("generate", steps.verb("generate", "--endpoint", endpoint))
        posted = steps.verb("post")
        steps.show("post", posted)
        texts = database.best_texts(connection, bot.name, model, 10)
        tweets = database.count_states(connection, bot.name)
    return Report(
        bot=bot.name,
        seconds=steps.seconds,
        model={"id": model, "address": trained["address"], "metrics": trained["metrics"]},
        plot=trained["plot"],
        texts=[{"id": t.id, "score": t.score or 0.0, "state": t.state, "text": t.text} for t in texts],
        tweets=tweets,
        approve_best=bot.judge.approve_best,
        posted=posted,
    )


class _Steps:
    """Runs verbs and remembers how long each took."""

    def __init__(self, bot: str, file: str, overrides: Sequence[str]) -> None:
        self.bot = bot
        self.arguments = [file, *(f"--set={override}" for override in overrides)]
        self.seconds: dict[str, float] = {}

    def verb(self, verb: str, *flags: str) -> dict[str, Any]:
        """Run `mynah VERB`, its progress shown; returns its result."""
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "mynah", verb, *self.arguments, *flags, "--json"],
            stdout=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        self.seconds[verb] = round(time.monotonic() - begin, 1)
        if done.returncode:
            raise MynahError(f"step {verb} failed (exit {done.returncode}); mend it and run this again")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def show(self, verb: str, result: dict[str, Any]) -> None:
        """Print what a step did and how long it took."""
        done = " (done already)" if result.get("skipped") else ""
        first, *rest = result["summary"].splitlines()
        print(f"  {verb:<9} {self.seconds[verb]:>6.1f} s  {first}{done}", file=sys.stderr)
        for line in rest:
            print(f"{'':>21}{line}", file=sys.stderr)

    @contextmanager
    def server(self) -> Iterator[str]:
        """Serve the newest model on a free port while the block runs; yields its address."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        begin = time.monotonic()
        server = subprocess.Popen(
            [sys.executable, "-m", "mynah", "serve", self.bot, "--port", str(port)], preexec_fn=_die_with_parent
        )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            self._wait_ready(server, endpoint)
            self.seconds["serve"] = round(time.monotonic() - begin, 1)
            self.show("serve", {"summary": endpoint})
            yield endpoint
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()

    def _wait_ready(self, server: "subprocess.Popen[bytes]", endpoint: str) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise MynahError(f"step serve failed (exit {server.returncode}); mend it and run this again")
            try:
                if httpx.get(f"{endpoint}/v2/models/{self.bot}/ready", timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise MynahError(f"step serve: the model was not ready within {READY_WITHIN:.0f} s")


def _die_with_parent() -> None:
    """In a child, on Linux: be stopped when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1  # prctl(2)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
