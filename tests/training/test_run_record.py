"""What a training writes down of itself: its log, how far it is, how it ended, and that it was asked to stop."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest

from mynah.bucket import Bucket
from mynah.database import runs
from mynah.database.connection import Connection
from mynah.errors import MynahError, Stopped
from mynah.progress import progress
from mynah.settings import Settings
from training import run_record
from training.lease import Lease, taken
from training.run_record import Record, recorded

ROW = {"step": 10, "steps": 40, "loss": 3.25, "dev_loss": 3.5, "learning_rate": 1e-4, "tokens_per_second": 1090.0}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, settings_of: Callable[[Bucket, Path, str], Settings]) -> Settings:
    return settings_of(Bucket(f"file://{tmp_path}/bucket"), tmp_path / "home", database_url)


@pytest.fixture
def lease(settings: Settings) -> Iterator[Lease]:
    with taken(settings, "bird/runs/0123abcd") as lease:
        yield lease


def record(settings: Settings, lease: Lease) -> AbstractContextManager[Record]:
    return recorded(settings, lease, "bird", "20261127T120000-0123abcd", "train", "1", "tiny")


def log(connection: Connection) -> list[str]:
    return [line.line for line in runs.lines(connection, runs.find(connection, "bird"))]


def test_what_people_are_told_is_the_log(
    settings: Settings, lease: Lease, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    with record(settings, lease) as kept:
        print("starting", 2, "workers", file=sys.stderr)
        with progress("training", 40) as advance:
            advance(40, "loss 3")  # a line without a terminal, a bar on one
        sys.stderr.write("\x1b[2K a bar\n")
        kept.seen(ROW)
        kept.seen(ROW | {"step": 20})  # soon after: a point, and no line
        kept.done({"dev_loss": 3.0})
    assert capsys.readouterr().err.startswith("starting 2 workers\ntraining: 40 of 40, 0 s left  loss 3\n")
    assert log(connection) == ["starting 2 workers", "step 10 of 40 · loss 3.250 · dev 3.500 · 1,090 tokens/s"]
    run = runs.find(connection, "bird")
    assert (run.state, run.model, run.metrics) == ("done", run.id, {"dev_loss": 3.0})
    (point,) = runs.points(connection, run)
    assert point["step"] == 20
    assert set(point) <= {*run_record.POINT, "seconds_left"}
    assert run.seconds > 0


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (MynahError("the disk is full"), "failed", "the disk is full"),
        (ValueError("a bug\nin two lines"), "failed", "ValueError: a bug"),
        (Stopped("stopped by bea; go on"), "stopped", "stopped by bea; go on"),
        (KeyboardInterrupt(), "stopped", "stopped by Ctrl-C"),
        (SystemExit(143), "running", None),  # the machine goes: interrupted, as soon as the lease is given back
    ],
)
def test_how_it_ends(
    settings: Settings, lease: Lease, connection: Connection, error: BaseException, state: str, why: str | None
) -> None:
    with pytest.raises(type(error)), record(settings, lease):
        raise error
    run = runs.find(connection, "bird")
    assert (run.state, run.why) == (state, why)
    said = log(connection)
    assert said[-1:] == ([why] if why else [])
    assert ("Traceback (most recent call last):" in said) == isinstance(error, ValueError)


def test_a_stop_is_seen(
    settings: Settings, lease: Lease, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        with record(settings, lease) as kept:
            kept.check()
            runs.ask_to_stop(connection, kept.run)
            for _ in range(500):
                kept.check()
                time.sleep(0.02)

    monkeypatch.setattr(run_record, "TELL_EVERY", 0.02)
    with pytest.raises(Stopped, match="run 1 of bird was stopped by \\S+$"):
        work()


def test_a_run_that_was_taken_over_is_left_alone(settings: Settings, lease: Lease, connection: Connection) -> None:
    def work() -> None:
        with record(settings, lease) as kept:
            connection.execute("UPDATE leases SET holder = 'elsewhere:1 0'")
            connection.execute("UPDATE runs SET holder = 'elsewhere:1 0'")
            kept.confirm()

    with pytest.raises(MynahError, match="taken over"):
        work()
    run = runs.find(connection, "bird")
    assert (run.state, run.host, log(connection)) == ("running", run.host, [])


def test_nothing_is_lost_while_postgres_is_away(
    settings: Settings, lease: Lease, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with record(settings, lease) as kept:
        with monkeypatch.context() as away:
            away.setattr(runs, "tell", raise_away)
            print("one", file=sys.stderr)
            kept.seen(ROW)
            assert not kept.tell()
        print("two", file=sys.stderr)
        assert kept.tell()
        kept.done({})
    assert log(connection) == ["one", "step 10 of 40 · loss 3.250 · dev 3.500 · 1,090 tokens/s", "two"]


def raise_away(*_: object) -> None:
    raise psycopg.OperationalError("the server is away")


def test_a_run_that_goes_on_adds_to_its_time_and_its_log(
    settings: Settings, lease: Lease, connection: Connection
) -> None:
    before = []

    def work(line: str) -> None:
        with record(settings, lease) as kept:
            print(line, file=sys.stderr)
            before.append(kept.run.seconds)
            sys.exit(143)

    for line in ("one", "two"):
        with pytest.raises(SystemExit):
            work(line)
    run = runs.find(connection, "bird")
    assert (run.number, log(connection)) == (1, ["one", "two"])
    assert before[0] == 0 < before[1] < run.seconds
