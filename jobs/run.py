"""The whole loop, once, on this machine: every step is the verb of that name, in a process of its own.

A step's process ends with everything it held (the trainer's memory, the model), and dies with this one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jobs.status import dev_losses
from mynah.bot import Bot
from mynah.database import served
from mynah.database.tweets import best_texts, count_states, count_waiting
from mynah.errors import MynahError
from mynah.local_server import die_with_parent, serving
from mynah.settings import Settings

STEPS = ("scrape", "dataset", "train", "promote", "serve", "generate", "post")


@dataclass(frozen=True)
class Report:
    """What the loop did and how it stands. `model` was trained last; `current` is the one that speaks."""

    bot: str
    seconds: dict[str, float]
    model: dict[str, Any]
    current: str
    plot: str
    texts: list[dict[str, Any]]
    tweets: dict[str, int]
    approve_best: int
    posted: dict[str, dict[str, Any]]
    """What became of each account's post."""

    def summary(self) -> str:
        lines = [
            f"dev loss   {dev_losses(self.model['metrics'])}",
            f"plot       {self.plot}",
            f"model      {self.model['address']}",
            f"current    {self.current}",
            f"tweets     {', '.join(f'{number} {state}' for state, number in self.tweets.items() if number)}",
            "",
            f"The best texts of the current model ({self._who()}):",
            *(f"  {text['score']:.2f}  {text['state']:<9}  {text['text']}" for text in self.texts),
            "",
            *(posted["summary"] for posted in self.posted.values()),
            f"play with it: mynah play {self.bot}",
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
    current = _promoted(bot.name, str(trained["id"]), steps, settings)

    with settings.connect() as connection:
        waiting = count_waiting(connection, bot.name, current)
    if waiting and "generate" not in repeat:
        print(f"  serve, generate: {waiting} texts of this model wait already", file=sys.stderr)
    else:
        with steps.server() as endpoint:
            steps.show("generate", steps.verb("generate", "--endpoint", endpoint))
    posted = _post(bot, steps)
    with settings.connect() as connection:
        texts = best_texts(connection, bot.name, current, 10)
        tweets = count_states(connection, bot.name)
    return Report(
        bot=bot.name,
        seconds=steps.seconds,
        model={"id": trained["id"], "address": trained["address"], "metrics": trained["metrics"]},
        current=current,
        plot=trained["plot"],
        texts=[{"id": t.id, "score": t.score or 0.0, "state": t.state, "text": t.text} for t in texts],
        tweets=tweets,
        approve_best=bot.judge.approve_best,
        posted=posted,
    )


def _promoted(bot: str, model: str, steps: "_Steps", settings: Settings) -> str:
    """Make the trained model the current one, if it is good; returns the current one.

    Raises MynahError where it cannot be judged, or is refused and there is no other.
    """
    with settings.connect() as connection:
        before, refused = served.current(connection, bot), served.refused(connection, bot)
    if before and before.model == model:
        print(f"  promote: {model} speaks for {bot} already", file=sys.stderr)
        return model
    if model not in refused:
        try:
            steps.show("promote", steps.verb("promote", model))
            return model
        except MynahError:
            with settings.connect() as connection:
                refused = served.refused(connection, bot)
            if model not in refused:  # nobody judged it
                raise
    if before is None:
        raise MynahError(f"{model} is refused ({refused[model]}), and {bot} has no other model: change the bot file")
    print(f"  promote: {model} is refused ({refused[model]}); {before.model} goes on speaking", file=sys.stderr)
    return before.model


def _post(bot: Bot, steps: "_Steps") -> dict[str, dict[str, Any]]:
    """Post to each account, whatever becomes of the others. Raises MynahError where one failed, in the end."""
    posted: dict[str, dict[str, Any]] = {}
    failed = None
    accounts = bot.accounts_by_name()
    for name in accounts:
        step = f"post {name}" if len(accounts) > 1 else "post"
        try:
            posted[name] = steps.verb("post", "--account", name, step=step)
            steps.show(step, posted[name])
        except MynahError as error:
            failed = failed or error
    if failed:
        raise failed
    return posted


class _Steps:
    """Runs verbs and remembers how long each took."""

    def __init__(self, bot: str, file: str, overrides: Sequence[str]) -> None:
        self.bot = bot
        self.arguments = [file, *(f"--set={override}" for override in overrides)]
        self.seconds: dict[str, float] = {}

    def verb(self, verb: str, *flags: str, step: str | None = None) -> dict[str, Any]:
        """Run `mynah VERB`, its progress shown; returns its result. Raises MynahError where it fails."""
        step = step or verb
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "mynah", verb, *self.arguments, *flags, "--json"],
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        self.seconds[step] = round(time.monotonic() - begin, 1)
        if done.returncode:
            raise MynahError(f"step {step} failed (exit {done.returncode}); mend it and run this again")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def show(self, step: str, result: dict[str, Any]) -> None:
        """Print what a step did and how long it took."""
        done = " (done already)" if result.get("skipped") else ""
        first, *rest = result["summary"].splitlines()
        print(f"  {step:<9} {self.seconds[step]:>6.1f} s  {first}{done}", file=sys.stderr)
        for line in rest:
            print(f"{'':>21}{line}", file=sys.stderr)

    @contextmanager
    def server(self) -> Iterator[str]:
        """Serve the current model while the block runs; yields its address."""
        begin = time.monotonic()
        with serving(self.bot) as address:
            self.seconds["serve"] = round(time.monotonic() - begin, 1)
            self.show("serve", {"summary": address})
            yield address
