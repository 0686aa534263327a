"""A bot's trainings, wherever they run: which there were, what one says, and asking it to stop."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mynah.database import runs
from mynah.database.connection import Connection
from mynah.database.runs import Line, Run
from mynah.errors import MynahError
from mynah.progress import duration
from mynah.settings import Settings

POLL = 1.0  # seconds between two looks at what a run says
STOPS_WITHIN = 120.0  # seconds: Ray is ended, and what it holds is given back
AT_ONCE = 1000  # lines that are read at once
WORKS = {"train": "mynah train", "distill": "mynah distill", "prefer": "mynah prefer"}


@dataclass(frozen=True)
class Runs:
    """A bot's runs, the newest first."""

    bot: str
    runs: list[Run]

    def summary(self) -> str:
        if not self.runs:
            return f"bot {self.bot} has no runs yet: `mynah train {self.bot}` makes one"
        head = ("run", "state", "began", "time", "steps", "dev loss", "tokens/s", "cost", "from", "by")
        rows = [head, *map(_row, self.runs)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        whys = [f"run {run.number}: {run.why}" for run in self.runs if run.why]
        return "\n".join([*lines, *whys])


@dataclass(frozen=True)
class Stopping:
    """What became of asking a run to stop."""

    bot: str
    number: int
    id: str
    state: str
    message: str

    def summary(self) -> str:
        return self.message


def list_runs(connection: Connection, bot: str, limit: int) -> Runs:
    """The newest `limit` runs of the bot."""
    return Runs(bot, runs.list_runs(connection, bot, limit))


def follow(settings: Settings, bot: str, name: str | None, on: bool) -> Iterator[Line]:
    """What the run said so far, and with `on` what it goes on to say, until it ends or is interrupted.

    Raises MynahError where there is no such run.
    """
    after = 0
    with settings.connect() as connection:
        run = runs.find(connection, bot, name)
    while True:
        with settings.connect() as connection:
            # First the state: what is said until then is read after it.
            run = runs.find(connection, bot, str(run.number))
            while found := runs.lines(connection, run, after, AT_ONCE):
                yield from found
                after = found[-1].id
        if not on or run.state != "running":
            break
        time.sleep(POLL)
    _say(f"run {run.number} of {bot} {_stands(run)}")


def stop(settings: Settings, bot: str, name: str | None) -> Stopping:
    """Ask the run to stop, wherever it is, and wait until it has. What it saved is kept.

    Raises MynahError where there is no such run, or it has not stopped within STOPS_WITHIN seconds.
    """
    with settings.connect() as connection:
        run = runs.find(connection, bot, name)
        asked = run.state == "running" and runs.ask_to_stop(connection, run)
        if not asked:
            run = runs.find(connection, bot, str(run.number))
            return _stopping(run, f"nothing to stop: run {run.number} of {bot} {_stands(run)}")
        _say(f"run {run.number} of {bot}, on {run.host}, is asked to stop")
        give_up = time.monotonic() + STOPS_WITHIN
        while run.state == "running":
            if time.monotonic() > give_up:
                raise MynahError(
                    f"run {run.number} of {bot} was asked to stop and is still at work after {STOPS_WITHIN:.0f} s: "
                    f"`mynah logs {bot} {run.number}` says at what"
                )
            time.sleep(POLL)
            run = runs.find(connection, bot, str(run.number))
    return _stopping(run, f"run {run.number} of {bot} {_stands(run)}")


def _stopping(run: Run, message: str) -> Stopping:
    return Stopping(run.bot, run.number, run.id, run.state, message)


def _stands(run: Run) -> str:
    """How the run stands, after its name, and what goes on with it."""
    goes_on = f"`{WORKS[run.kind]} {run.bot}` goes on with it"
    match run.state:
        case "running":
            return f"is at work on {run.host}"
        case "done":
            return f"is done: model {run.model}"
        case "interrupted":
            return f"was interrupted on {run.host}, last seen {run.seen_at:%Y-%m-%d %H:%M:%S %Z}: {goes_on}"
        case "stopped":
            return f"is stopped: {run.why}"
    return f"has failed: {run.why}; mended, {goes_on}"


def _row(run: Run) -> tuple[str, ...]:
    m, now = run.metrics, run.progress
    steps = m.get("steps") or now.get("steps")
    done = f"{m['steps']:,}" if m.get("steps") else f"{now['step']:,} of {steps:,}" if steps else "-"
    first, last = m.get("dev_loss_untuned"), m.get("dev_loss", now.get("dev_loss"))
    speed = m.get("tokens_per_second") or now.get("tokens_per_second")
    return (
        f"{run.number}{'' if run.kind == 'train' else f' {run.kind}'}",
        run.state,
        f"{run.began_at:%Y-%m-%d %H:%M}",
        duration(run.seconds),
        done,
        "-" if last is None else f"{last:.3f}" if first is None else f"{first:.3f} → {last:.3f}",
        f"{speed:,.0f}" if speed else "-",
        "-" if m.get("cost_usd") is None else f"${m['cost_usd']:,.2f}",
        run.base,
        f"{run.who} on {run.host}",
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
