"""One trainer at a time per run, wherever it runs: a lease in Postgres, renewed while the trainer works."""

import hashlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from mynah.database import leases
from mynah.errors import MynahError
from mynah.settings import Settings

SECONDS = 120.0  # until a trainer that renews no more has lost its run
RENEW_EVERY = 20.0  # seconds
RETRY_EVERY = 2.0  # seconds, where Postgres does not answer
POLL = 1.0  # seconds between two looks at whether another trainer is alive


class HeldError(MynahError):
    """Another trainer is at work on the run."""


class Lease:
    """A run that this process holds, until `check` or `confirm` raises MynahError."""

    def __init__(self, settings: Settings, name: str, holder: str) -> None:
        self.settings, self.name, self.holder = settings, name, holder
        self.runs_out = time.monotonic() + SECONDS
        self.taken_by = ""
        """Who has it now, where that is somebody else."""

    def check(self) -> None:
        """Raise MynahError where the run is known to be lost. Asks nobody, so it may be called at any time."""
        if self.taken_by:
            raise MynahError(f"run {self.name} was taken over by {self.taken_by}: this trainer stops here")
        if time.monotonic() > self.runs_out:
            raise MynahError(
                f"run {self.name} could not be held, as Postgres did not answer for {SECONDS:.0f} s: check the server,"
                " then run this again"
            )

    def confirm(self) -> None:
        """Ask Postgres, and raise MynahError where the run is lost: before something is deleted or published."""
        self.renew()
        self.check()

    def renew(self) -> bool:
        """Hold the run for another SECONDS; False where Postgres did not answer."""
        asked = time.monotonic()
        try:
            with self.settings.connect() as connection:
                if leases.renew(connection, self.name, self.holder, SECONDS):
                    self.runs_out = asked + SECONDS
                else:
                    other = leases.held(connection, self.name)
                    self.taken_by = _short(other.holder) if other else "another trainer, which has ended"
        except (MynahError, psycopg.Error):
            return False
        return True


@contextmanager
def taken(settings: Settings, name: str) -> Iterator[Lease]:
    """Hold the lease `name` while the block runs; it is renewed in a thread.

    One whose holder renews no more is waited for and taken over; one whose holder was a process of this machine that
    has ended is taken over at once. Raises HeldError where its holder is at work, and says who and since when.
    """
    holder = _holder()
    _take(settings, name, holder)
    lease = Lease(settings, name, holder)
    stop = threading.Event()

    def keep() -> None:
        pause = RENEW_EVERY
        while not stop.wait(pause) and not lease.taken_by:
            pause = RENEW_EVERY if lease.renew() else RETRY_EVERY

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        with suppress(MynahError, psycopg.Error), settings.connect() as connection:  # else it runs out by itself
            leases.release(connection, name, holder)


def _take(settings: Settings, name: str, holder: str) -> None:
    first: leases.Lease | None = None
    while True:
        with settings.connect() as connection:
            if leases.take(connection, name, holder, SECONDS):
                return
            other = leases.held(connection, name)
            if other and _has_ended(other.holder):
                leases.release(connection, name, other.holder)
                continue
        if other is None:  # it has just run out or been given back
            continue
        if first is None or other.holder != first.holder:
            first = other
            who = f"{_short(other.holder)} since {other.taken_at:%Y-%m-%d %H:%M:%S %Z}"
            if not _is_ours(other.holder):
                print(f"run {name} is held by {who}: looking whether that is at work", file=sys.stderr, flush=True)
        if _is_ours(other.holder) or other.expires_at > first.expires_at:
            raise HeldError(f"run {name} is held by {who}: wait for it, or stop it")
        time.sleep(POLL)


def _holder() -> str:
    """This process: host:pid, and what tells its machine and its container from others of that host's name."""
    return f"{socket.gethostname()}:{os.getpid()} {_machine()}"


def _machine() -> str:
    """Where process ids mean the same processes: eight hex digits of this boot and this namespace of ids."""
    facts = []
    with suppress(OSError):  # not on Linux
        facts = [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256("".join(facts).encode()).hexdigest()[:8] if facts else f"at {os.getpid()}"


def _short(holder: str) -> str:
    return holder.partition(" ")[0]


def _is_ours(holder: str) -> bool:
    """Whether `holder` is a process of this machine."""
    return holder.endswith(f" {_machine()}")


def _has_ended(holder: str) -> bool:
    """Whether `holder` was a process of this machine, and is no more."""
    pid = re.search(r":(\d+) ", holder)
    if not pid or not _is_ours(holder):
        return False
    try:
        return bool(psutil.Process(int(pid[1])).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
