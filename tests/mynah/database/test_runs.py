"""Numbered runs: no number twice, a killed one is seen, one that goes on keeps its number, a stop reaches it."""

import threading
from pathlib import Path

import psycopg
import pytest

from mynah.database import leases, runs
from mynah.database.connection import Connection, connect
from mynah.errors import MynahError, UsageError


def begin(connection: Connection, id: str, bot: str = "bird", holder: str = "here:1 0") -> runs.Run:
    """As a trainer does: the lease first."""
    lease = f"{bot}/runs/{id}"
    assert leases.take(connection, lease, holder, 60)
    return runs.begin(
        connection, bot, id, "train", lease=lease, holder=holder, host="here", dataset="1", base="smollm2-135m"
    )


def run_out(connection: Connection, run: runs.Run) -> None:
    connection.execute("UPDATE leases SET expires_at = clock_timestamp() WHERE name = %s", [f"{run.bot}/runs/{run.id}"])


def test_each_bot_counts_from_one(connection: Connection) -> None:
    assert [begin(connection, id).number for id in "abc"] == [1, 2, 3]
    assert begin(connection, "a", bot="fish").number == 1
    assert [run.id for run in runs.list_runs(connection, "bird", 2)] == ["c", "b"]


def test_of_many_that_begin_at_once_each_has_a_number(database_url: str, tmp_path: Path) -> None:
    numbers: list[int] = []
    ready = threading.Barrier(8)

    def trainer(id: str) -> None:
        with connect(database_url, tmp_path) as own:
            ready.wait()
            numbers.append(begin(own, id).number)

    threads = [threading.Thread(target=trainer, args=[str(number)]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 9))


def test_a_killed_run_is_interrupted_and_keeps_its_number(connection: Connection) -> None:
    run = begin(connection, "a")
    begin(connection, "b")
    assert run.state == "running"
    run_out(connection, run)
    assert runs.find(connection, "bird", "1").state == "interrupted"
    assert runs.unfinished(connection, "bird", "a") is None  # not the id's ending
    again = begin(connection, "a", holder="elsewhere:2 1")
    assert (again.number, again.state, again.began_at) == (1, "running", run.began_at)
    # The trainer that was thought to be killed comes back: the run is another's now.
    assert runs.tell(connection, run, ["a line"], [{"step": 1}], 1) is None
    runs.end(connection, run, "failed", why="lost")
    assert runs.find(connection, "bird", "1").state == "running"
    assert (runs.lines(connection, run), runs.points(connection, run)) == ([], [])
    # Another training has its lease: a run is not alive because somebody else is.
    run_out(connection, run)
    assert leases.take(connection, "bird/runs/a", "a third:3 2", 60)
    assert runs.find(connection, "bird", "a").state == "interrupted"


def test_what_it_said_is_read_from_where_one_was(connection: Connection) -> None:
    run = begin(connection, "a")
    rows = [{"step": step, "loss": 3 - step / 10} for step in (1, 2)]
    assert runs.tell(connection, run, ["starting", "a \0 is left out"], rows, 2.5) is None
    first, second = runs.lines(connection, run)
    assert [first.line, second.line] == ["starting", "a  is left out"]
    assert runs.lines(connection, run, after=first.id) == [second]
    runs.tell(connection, run, ["a third"], [{"step": 2, "loss": 2.5}, {"step": 3, "loss": 2.4}], 4)
    assert [line.line for line in runs.lines(connection, run, after=second.id)] == ["a third"]
    assert [point["loss"] for point in runs.points(connection, run)] == [2.9, 2.5, 2.4]
    runs.tell(connection, run, ["no new point"], [], 5)
    now = runs.find(connection, "bird")
    assert (now.progress["step"], now.seconds) == (3, 5)
    assert now.seen_at > run.seen_at


def test_a_stop_reaches_the_trainer_and_is_forgotten_when_it_goes_on(database_url: str, tmp_path: Path) -> None:
    with connect(database_url, tmp_path, "ana") as connection, connect(database_url, tmp_path, "bea") as another:
        run = begin(connection, "a")
        assert runs.ask_to_stop(another, run)
        assert runs.tell(connection, run, [], [], 1) == "bea"
        runs.end(connection, run, "stopped", why="by bea")
        stopped = runs.find(another, "bird")
        assert (stopped.state, stopped.why, stopped.who) == ("stopped", "by bea", "ana")
        assert stopped.ended_at
        assert not runs.ask_to_stop(another, run)
        begin(connection, "a")
        assert runs.tell(connection, run, [], [], 1) is None


def test_what_is_done_stays_done(connection: Connection) -> None:
    run = begin(connection, "20261127T120000-0123abcd")
    assert runs.unfinished(connection, "bird", "0123abcd") == "20261127T120000-0123abcd"
    runs.end(connection, run, "done", metrics={"dev_loss": 2.0}, samples=["a text"])
    runs.end(connection, run, "failed", why="too late")
    done = runs.find(connection, "bird")
    assert (done.state, done.model, done.metrics, done.samples) == ("done", done.id, {"dev_loss": 2.0}, ["a text"])
    assert done.why is None
    assert runs.unfinished(connection, "bird", "0123abcd") is None
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE runs SET model = NULL")


def test_a_run_is_named_by_its_number_or_its_id(connection: Connection) -> None:
    with pytest.raises(MynahError, match="bot bird has no runs yet: `mynah train bird` makes one"):
        runs.find(connection, "bird")
    for id in "ab":
        begin(connection, id)
    assert [runs.find(connection, "bird", name).number for name in ("1", "b", None)] == [1, 2, 2]
    for name in ("3", "c", "9" * 30, ""):
        with pytest.raises(UsageError, match=f"bot bird has no run {name}: `mynah runs bird`"):
            runs.find(connection, "bird", name)


def test_a_run_whose_model_is_there_is_done_whatever_was_thought_of_it(connection: Connection) -> None:
    run = begin(connection, "a")
    runs.end(connection, run, "failed", why="Postgres was away")
    runs.end(connection, run, "done", metrics={})
    assert runs.find(connection, "bird").state == "done"
