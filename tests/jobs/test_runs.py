"""Looking at trainings, following one, stopping one: from another process than the one that trains."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs import runs as verbs
from mynah.database import leases, runs
from mynah.database.connection import Connection, connect
from mynah.database.runs import Run
from mynah.errors import MynahError
from mynah.settings import Settings

BOT = "bots: {bird: {sources: {s: {url: birds.txt}}}}\n"
METRICS = {"dev_loss_untuned": 4.034, "dev_loss": 3.257, "steps": 40, "tokens_per_second": 108.4, "cost_usd": 0.5}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.read({"MYNAH_HOME": str(tmp_path / "home"), "DATABASE_URL": database_url})


def begin(connection: Connection, id: str = "20261127T120000-0123abcd") -> Run:
    assert leases.take(connection, f"bird/runs/{id}", "there:1 0", 60)
    return runs.begin(
        connection,
        "bird",
        id,
        "train",
        lease=f"bird/runs/{id}",
        holder="there:1 0",
        host="there",
        dataset="1",
        base="tiny",
    )


def interrupt(connection: Connection) -> None:
    connection.execute("UPDATE leases SET expires_at = clock_timestamp()")


def test_the_table_says_how_each_run_stands(connection: Connection) -> None:
    empty = verbs.list_runs(connection, "bird", 9).summary()
    assert empty == "bot bird has no runs yet: `mynah train bird` makes one"
    done, failed, _, _ = (begin(connection, id) for id in "abcd")
    runs.end(connection, done, "done", metrics=METRICS)
    runs.end(connection, failed, "failed", why="the disk is full")
    interrupt(connection)
    now = begin(connection, "d")
    point = {"step": 20, "steps": 1200, "loss": 3.3, "dev_loss": 3.5, "tokens_per_second": 99.6}
    runs.tell(connection, now, [], [point], 3700)
    head, *rows = verbs.list_runs(connection, "bird", 9).summary().splitlines()
    assert head.split() == ["run", "state", "began", "time", "steps", "dev", "loss", "tokens/s", "cost", "from", "by"]
    assert rows[-1] == "run 2: the disk is full"
    shown = [row.split("  ") for row in rows[:-1]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in shown]
    assert [row[:2] for row in cells] == [["4", "running"], ["3", "interrupted"], ["2", "failed"], ["1", "done"]]
    assert cells[0][3:8] == ["1 h 1 min", "20 of 1,200", "3.500", "100", "-"]
    assert cells[3][4:8] == ["40", "4.034 → 3.257", "108", "$0.50"]
    assert cells[0][9].endswith(" on there")


def test_a_log_is_read_to_its_end_and_followed(settings: Settings, connection: Connection) -> None:
    run = begin(connection)
    runs.tell(connection, run, [f"line {number}" for number in range(2500)], [], 1)
    lines = [line.line for line in verbs.follow(settings, "bird", None, on=False)]
    assert lines == [f"line {number}" for number in range(2500)]

    followed = verbs.follow(settings, "bird", "1", on=True)
    for _ in range(2500):
        next(followed)
    runs.tell(connection, run, ["one more"], [], 2)
    assert next(followed).line == "one more"
    runs.tell(connection, run, ["the last"], [], 3)
    runs.end(connection, run, "done", metrics=METRICS)
    assert [line.line for line in followed] == ["the last"]


def test_following_ends_where_the_trainer_was_killed(
    settings: Settings, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(connection)
    interrupt(connection)
    assert list(verbs.follow(settings, "bird", None, on=True)) == []
    said = capsys.readouterr().err
    assert said.startswith("run 1 of bird was interrupted on there, last seen 2")
    assert said.endswith(": `mynah train bird` goes on with it\n")


@contextmanager
def trainer(url: str, home: Path, run: Run) -> Iterator[None]:
    """Does what a trainer does when it is asked to stop."""

    def work() -> None:
        with connect(url, home) as own:
            while (by := runs.tell(own, run, [], [], 1)) is None:
                time.sleep(0.02)
            runs.end(own, run, "stopped", why=f"stopped by {by}; `mynah train bird` goes on from step 20")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join(30)


def test_a_stop_waits_until_the_run_has_stopped(
    settings: Settings, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    run = begin(connection)
    with trainer(database_url, tmp_path, run):
        stopped = verbs.stop(settings, "bird", None)
    assert (stopped.state, stopped.number) == ("stopped", 1)
    assert stopped.message.endswith("`mynah train bird` goes on from step 20")
    again = verbs.stop(settings, "bird", "1")
    assert again.message.startswith("nothing to stop: run 1 of bird is stopped: ")


def test_a_run_that_does_not_stop_is_said(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(connection)
    monkeypatch.setattr(verbs, "STOPS_WITHIN", 0.0)
    with pytest.raises(MynahError, match="was asked to stop and is still at work after 0 s: `mynah logs bird 1` says"):
        verbs.stop(settings, "bird", None)
    assert runs.find(connection, "bird").stop_asked_at


def test_ctrl_c_detaches_and_the_run_goes_on(connection: Connection, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots/bird.yaml").write_text(BOT)
    run = begin(connection)
    runs.tell(connection, run, ["step 1 of 40"], [], 1)
    env = {**os.environ, "DATABASE_URL": database_url, "MYNAH_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "mynah", "logs", "bird", "1", "--follow", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert json.loads(process.stdout.readline())["line"] == "step 1 of 40"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (
        0,
        "detached, and the run goes on: `mynah logs bird --follow` attaches again\n",
    )
    assert runs.find(connection, "bird").state == "running"
