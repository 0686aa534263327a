"""A run is taken by one trainer at a time, and a trainer that lost it knows."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mynah.bucket import Bucket
from mynah.database import leases
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from training import lease
from training.lease import HeldError, taken

RUN = "bird/runs/1f2e3d4c"
ELSEWHERE = "elsewhere:7 0123abcd"  # a trainer on another machine
HOLD = """
import sys, time
from mynah.settings import Settings
from training.lease import taken
with taken(Settings.read({"MYNAH_HOME": sys.argv[1], "DATABASE_URL": sys.argv[2]}), sys.argv[3]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path, database_url: str, settings_of: Callable[[Bucket, Path, str], Settings]) -> Settings:
    return settings_of(Bucket(str(tmp_path / "bucket")), tmp_path, database_url)


@pytest.fixture
def holder(settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of this machine that holds RUN."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), str(settings.database_url), RUN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def until_lost(held: lease.Lease) -> str:
    """Wait until `check` raises; what it said."""
    while True:
        try:
            held.check()
        except MynahError as error:
            return str(error)


def test_a_run_is_given_back_and_taken_again(settings: Settings, connection: Connection):
    for _ in range(2):
        with taken(settings, RUN) as held:
            held.check()
            held.confirm()
            assert leases.held(connection, RUN) is not None
        assert leases.held(connection, RUN) is None


def test_who_holds_a_run_is_said_in_one_line(settings: Settings, holder: subprocess.Popen[str]):
    with pytest.raises(HeldError) as error, taken(settings, RUN):
        pass
    said = rf"run {RUN} is held by \S+:{holder.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \S+: wait for it, or stop it"
    assert re.fullmatch(said, str(error.value))


def test_what_a_killed_process_of_this_machine_held_is_taken_at_once(
    settings: Settings, holder: subprocess.Popen[str], connection: Connection
):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert leases.held(connection, RUN) is not None
    with taken(settings, RUN):
        now = leases.held(connection, RUN)
        assert now is not None
        assert f":{os.getpid()} " in now.holder


def test_what_is_renewed_no_more_is_taken_when_it_runs_out(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(lease, "POLL", 0.1)
    assert leases.take(connection, RUN, ELSEWHERE, 2)
    with taken(settings, RUN) as held:
        held.confirm()
    assert "is held by elsewhere:7 since" in capfd.readouterr().err


def test_what_is_renewed_elsewhere_is_left_alone(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "POLL", 0.1)
    leases.take(connection, RUN, ELSEWHERE, 60)
    stop = threading.Event()

    def renew() -> None:
        with settings.connect() as other:
            while not stop.wait(0.2):
                leases.renew(other, RUN, ELSEWHERE, 60)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(HeldError, match=f"run {RUN} is held by elsewhere:7 since"), taken(settings, RUN):
            pass
    finally:
        stop.set()
        thread.join()
    still = leases.held(connection, RUN)
    assert still is not None
    assert still.holder == ELSEWHERE


def test_a_trainer_whose_run_was_taken_over_knows(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    steal = "UPDATE leases SET holder = %s"
    with taken(settings, RUN) as held:  # before something is deleted, it asks
        connection.execute(steal, [ELSEWHERE])
        with pytest.raises(MynahError, match="was taken over by elsewhere:7"):
            held.confirm()
    assert leases.held(connection, RUN) is not None  # what another holds is not given back
    leases.release(connection, RUN, ELSEWHERE)
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.1)
    with taken(settings, RUN) as held:  # else it learns with the next renewal
        connection.execute(steal, [ELSEWHERE])
        assert "was taken over by elsewhere:7" in until_lost(held)


def test_a_trainer_that_cannot_renew_stops_when_its_lease_runs_out(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "SECONDS", 2.0)
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.2)
    monkeypatch.setattr(lease, "RETRY_EVERY", 0.2)
    with taken(settings, RUN) as held:
        held.settings = replace(settings, database_url="host=127.0.0.1 port=1")
        assert "Postgres did not answer for 2 s" in until_lost(held)
        held.settings = settings
