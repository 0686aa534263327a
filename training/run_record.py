"""What a training writes down of itself in Postgres while it works, for `mynah runs` and `mynah logs` from everywhere.

A thread does it every few seconds, and sees there whether the run was asked to stop. Postgres may be away for a while:
nothing is lost, and no training waits for it.
"""

import io
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any, TextIO

import psycopg

from mynah.database import runs
from mynah.database.connection import Connection
from mynah.errors import MynahError, Stopped
from mynah.progress import PLAIN, PLAIN_EVERY, duration
from mynah.settings import Settings
from training.lease import Lease

TELL_EVERY = 2.0  # seconds
# Of what the driver sees, what a point keeps.
POINT = ("step", "steps", "saved", "loss", "dev_loss", "learning_rate", "tokens_per_second")


class Record:
    """A run's record, while its trainer works; `recorded` makes it."""

    def __init__(self, settings: Settings, lease: Lease, run: runs.Run) -> None:
        self.settings, self.lease, self.run = settings, lease, run
        self._began = time.monotonic()
        self._writing = threading.Lock()  # one writes at a time
        self._adding = threading.Lock()
        self._lines: list[str] = []
        self._point: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self._first: tuple[float, int] | None = None
        """When this trainer saw its first step, and which."""
        self._progress_said = 0.0
        self._stopped_by: str | None = None
        self._connection: Connection | None = None

    @property
    def seconds(self) -> float:
        """That trainers have worked at the run."""
        return self.run.seconds + time.monotonic() - self._began

    def check(self) -> None:
        """Raise MynahError where the run is lost, and Stopped where somebody asked it to stop. Asks nobody."""
        self.lease.check()
        if self._stopped_by is not None:
            raise Stopped(f"run {self.run.number} of {self.run.bot} was stopped by {self._stopped_by}")

    def confirm(self) -> None:
        """As Lease.confirm: before something is deleted or published."""
        self.lease.confirm()

    def seen(self, row: dict[str, Any]) -> None:
        """How far the run has come: step, steps, and what else of POINT there is."""
        point = {key: row[key] for key in POINT if key in row}
        if "step" not in point or "steps" not in point:
            return
        now, step = time.monotonic(), int(point["step"])
        with self._adding:
            self._first = self._first or (now, step)
            since, first = self._first
            if step > first:
                point["seconds_left"] = round((now - since) / (step - first) * (point["steps"] - step))
            self._point = point
            if step and now - self._progress_said >= PLAIN_EVERY:
                self._progress_said = now
                self._lines.append(say(point))

    def heard(self, line: str) -> None:
        """What people were told. Progress has a line of its own, whether they saw a bar or lines."""
        if line.strip() and "\x1b" not in line and not PLAIN.match(line):
            with self._adding:
                self._lines.append(line.rstrip())

    def tell(self) -> bool:
        """Write down what is new; False where Postgres did not take it, which keeps it for the next time."""
        with self._writing:
            with self._adding:
                lines, point = list(self._lines), self._point
            points = [point] if point != self._told else []
            try:
                if self._connection is None:
                    self._connection = self.settings.connect()
                asked = runs.tell(self._connection, self.run, lines, points, self.seconds)
            except (MynahError, psycopg.Error):
                self.close()
                return False
            with self._adding:
                del self._lines[: len(lines)]
                self._told = point
            self._stopped_by = asked or self._stopped_by
            return True

    def done(self, metrics: dict[str, Any], history: Sequence[dict[str, Any]] = ()) -> None:
        """The model is published; the samples of its history are kept, with their steps.

        Raises MynahError or psycopg.Error where Postgres is away: then the next training writes it down.
        """
        self.tell()
        samples = [{"step": row["step"], "samples": row["samples"]} for row in history if row.get("samples")]
        with self.settings.connect() as connection:
            runs.end(connection, self.run, "done", metrics=metrics, samples=samples)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


@contextmanager
def recorded(
    settings: Settings, lease: Lease, bot: str, id: str, kind: runs.Kind, dataset: str, base: str
) -> Iterator[Record]:
    """Record the run `id` while the block works at it, under `lease`; what it says on stderr is its log.

    The block calls `done` when the model is published. Where it raises, that is the run's end: failed, or stopped; but
    interrupted, and gone on with, where the process is told to end (SystemExit) or the run is another trainer's.
    """
    with settings.connect() as connection:
        run = runs.begin(
            connection,
            bot,
            id,
            kind,
            lease=lease.name,
            holder=lease.holder,
            host=socket.gethostname(),
            dataset=dataset,
            base=base,
        )
    record = Record(settings, lease, run)
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(TELL_EVERY):
            record.tell()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        with redirect_stderr(_Heard(sys.stderr, record.heard)):
            yield record
    except BaseException as error:
        _end(record, error)
        raise
    finally:
        stop.set()
        thread.join()
        record.tell()
        record.close()


def say(point: dict[str, Any]) -> str:
    """A point in words."""
    parts = [f"step {point['step']:,} of {point['steps']:,}"]
    if "seconds_left" in point:
        parts.append(f"{duration(point['seconds_left'])} left")
    if "loss" in point:
        parts.append(f"loss {point['loss']:.3f}")
    if "dev_loss" in point:
        parts.append(f"dev {point['dev_loss']:.3f}")
    if "tokens_per_second" in point:
        parts.append(f"{point['tokens_per_second']:,.0f} tokens/s")
    return " · ".join(parts)


def _end(record: Record, error: BaseException) -> None:
    """Write down what ended the run, unless it is to go on; the lease tells the rest."""
    if isinstance(error, SystemExit) or record.lease.taken_by:
        return
    stopped = isinstance(error, Stopped | KeyboardInterrupt)
    if isinstance(error, MynahError):
        why = str(error)
    elif stopped:
        why = "stopped by Ctrl-C"
    else:
        for line in "".join(traceback.format_exception(error)).splitlines():
            record.heard(line)
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    record.heard(why)
    record.tell()
    with suppress(MynahError, psycopg.Error), record.settings.connect() as connection:
        runs.end(connection, record.run, "stopped" if stopped else "failed", why=why)


class _Heard(io.TextIOBase):
    """A stream that passes everything on to another, and every whole line to `heard` as well."""

    def __init__(self, stream: TextIO, heard: Callable[[str], None]) -> None:
        self.stream, self.heard = stream, heard
        self._line = ""

    def write(self, text: str) -> int:
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            self.heard(line)
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding
