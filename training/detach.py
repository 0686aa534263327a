"""A training in the background: a session of its own, which no terminal's end or Ctrl-C brings to an end."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mynah.database import runs
from mynah.database.runs import Run
from mynah.errors import MynahError
from mynah.settings import Settings

POLL = 0.3  # seconds between two looks whether it has begun


@dataclass(frozen=True)
class Detached:
    """A training that was begun; `number` and `id` are None where there was nothing to train."""

    bot: str
    process: int
    number: int | None
    id: str | None
    log: str
    """Path of a file with all that the process prints."""

    def summary(self) -> str:
        if self.number is None:
            return f"nothing to train; see {self.log}"
        return (
            f"run {self.number} of {self.bot} is at work in the background (process {self.process}, log {self.log}):\n"
            f"  mynah logs {self.bot} {self.number} --follow\n"
            f"  mynah stop {self.bot} {self.number}"
        )


def detach(bot: str, settings: Settings, command: Sequence[str]) -> Detached:
    """Run `command`, which trains `bot`, in the background; returns when its run has begun.

    Raises MynahError with what it said last, where it fails before.
    """
    log = settings.make_home() / "logs" / f"{bot}-train.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as sink:
        begin = sink.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    with settings.connect() as connection:
        while True:
            ended = process.poll()
            run = next(iter(runs.list_runs(connection, bot, 1)), None)
            if run and _is_of(run, process.pid):
                return Detached(bot, process.pid, run.number, run.id, str(log))
            if ended:
                raise MynahError(f"{_last_line(log, begin)}; see {log}")
            if ended == 0:
                return Detached(bot, process.pid, None, None, str(log))
            time.sleep(POLL)


def _is_of(run: Run, process: int) -> bool:
    """Whether a process of this machine, just started, is the run's trainer."""
    return f":{process} " in run.holder


def _last_line(log: Path, begin: int) -> str:
    lines = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("mynah: ") if lines else "it said nothing"
