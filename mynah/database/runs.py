"""Trainings: numbered by bot, seen from everywhere, and stopped by asking. What the states mean is in 0008_runs.sql."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mynah.database.connection import Connection, rows_of
from mynah.errors import MynahError, UsageError

Kind = Literal["train", "distill", "prefer"]


@dataclass(frozen=True)
class Run:
    """A row of `runs`, with the state that people are shown."""

    bot: str
    number: int
    id: str
    """As in the bucket: <bot>/runs/<id>/, and <bot>/models/<id>/ when it is done."""
    kind: Kind
    state: str
    """running, done, failed, stopped; interrupted: its trainer was killed, so that its lease ran out."""
    holder: str
    """As whom its trainer holds its lease."""
    host: str
    who: str
    dataset: str
    base: str
    model: str | None
    """The id of the model that it published."""
    began_at: datetime
    seen_at: datetime
    """When its trainer last wrote."""
    ended_at: datetime | None
    seconds: float
    """That trainers have worked at it; more than one where it was gone on with."""
    progress: dict[str, Any]
    """The newest of its `points`."""
    metrics: dict[str, Any]
    samples: list[Any]
    why: str | None
    stop_asked_at: datetime | None
    stop_asked_by: str | None


@dataclass(frozen=True)
class Line:
    """What a trainer said."""

    id: int
    at: datetime
    line: str


_RUN = """
    bot, number, id, kind, holder, host, who, dataset, base, model, began_at, seen_at, ended_at, seconds, progress,
    metrics, samples, why, stop_asked_at, stop_asked_by,
    CASE WHEN state = 'running' AND NOT EXISTS (
        SELECT FROM leases WHERE name = lease AND leases.holder = runs.holder AND expires_at > clock_timestamp()
    ) THEN 'interrupted' ELSE state END AS state
"""
_ROW = rows_of(Run)


def begin(
    connection: Connection,
    bot: str,
    id: str,
    kind: Kind,
    *,
    lease: str,
    holder: str,
    host: str,
    dataset: str,
    base: str,
) -> Run:
    """Write down that a run is about to begin, or to be gone on with: it keeps its number then.

    The caller has taken the lease of that name as `holder`.
    """
    given = {"bot": bot, "id": id, "kind": kind, "lease": lease, "holder": holder, "host": host}
    given |= {"dataset": dataset, "base": base}
    with connection.cursor(row_factory=_ROW) as cursor:
        run = cursor.execute(
            f"""
            UPDATE runs SET state = 'running', lease = %(lease)s, holder = %(holder)s, host = %(host)s,
                who = mynah_user(), model = NULL, ended_at = NULL, why = NULL, stop_asked_at = NULL,
                stop_asked_by = NULL, seen_at = clock_timestamp()
            WHERE bot = %(bot)s AND id = %(id)s RETURNING {_RUN}
            """,  # noqa: S608 — nothing in it comes from outside
            given,
        ).fetchone()
        run = (
            run
            or cursor.execute(
                f"""
                WITH counted AS (
                    INSERT INTO run_numbers AS n (bot, last) VALUES (%(bot)s, 1)
                    ON CONFLICT (bot) DO UPDATE SET last = n.last + 1 RETURNING last
                )
                INSERT INTO runs (bot, number, id, kind, lease, holder, host, dataset, base)
                SELECT %(bot)s, last, %(id)s, %(kind)s, %(lease)s, %(holder)s, %(host)s, %(dataset)s, %(base)s
                FROM counted RETURNING {_RUN}
                """,  # noqa: S608
                given,
            ).fetchone()
        )
    assert run is not None  # noqa: S101 — RETURNING returns it
    return run


def tell(
    connection: Connection, run: Run, lines: Sequence[str], points: Sequence[dict[str, Any]], seconds: float
) -> str | None:
    """Add what the trainer said and how far it has come since it last did; `seconds`: `Run.seconds` now.

    A point has a `step`; of a step that was told already, the newer is kept. Nothing happens where another trainer has
    taken the run over. Returns who asked the run to stop, or None.
    """
    key = [run.bot, run.number]
    with connection.transaction(), connection.cursor() as cursor:
        mine = cursor.execute(
            """
            UPDATE runs SET seconds = %s, seen_at = clock_timestamp(), progress = coalesce(%s, progress)
            WHERE bot = %s AND number = %s AND holder = %s RETURNING stop_asked_by
            """,
            [seconds, json.dumps(points[-1]) if points else None, *key, run.holder],
        ).fetchone()
        if mine is None:
            return None
        cursor.executemany(
            "INSERT INTO run_lines (bot, number, line) VALUES (%s, %s, %s)",
            [[*key, line.replace("\0", "")] for line in lines],
        )
        cursor.executemany(
            """
            INSERT INTO run_points (bot, number, step, point) VALUES (%s, %s, %s, %s)
            ON CONFLICT (bot, number, step) DO UPDATE SET point = EXCLUDED.point, at = EXCLUDED.at
            """,
            [[*key, point["step"], json.dumps(point)] for point in points],
        )
    return None if mine[0] is None else str(mine[0])


def end(
    connection: Connection,
    run: Run,
    state: Literal["done", "failed", "stopped"],
    *,
    metrics: dict[str, Any] | None = None,
    samples: Sequence[Any] | None = None,
    why: str | None = None,
) -> None:
    """The run has ended. Nothing happens where another trainer has taken it over, or where it had ended: but done it is
    whatever was thought of it before.
    """
    connection.execute(
        """
        UPDATE runs SET state = %(state)s, model = CASE %(state)s WHEN 'done' THEN id END, why = %(why)s,
            metrics = coalesce(%(metrics)s, metrics), samples = coalesce(%(samples)s, samples),
            ended_at = clock_timestamp(), seen_at = clock_timestamp()
        WHERE bot = %(bot)s AND number = %(number)s AND holder = %(holder)s
            AND (state = 'running' OR state <> 'done' AND %(state)s = 'done')
        """,
        {
            "bot": run.bot,
            "number": run.number,
            "holder": run.holder,
            "state": state,
            "why": why,
            "metrics": None if metrics is None else json.dumps(metrics),
            "samples": None if samples is None else json.dumps(samples),
        },
    )


def ask_to_stop(connection: Connection, run: Run) -> bool:
    """Ask the run to stop, wherever it is; False where it has ended. The trainer sees it within seconds."""
    return (
        connection.execute(
            """
            UPDATE runs SET stop_asked_at = coalesce(stop_asked_at, clock_timestamp()),
                stop_asked_by = coalesce(stop_asked_by, mynah_user())
            WHERE bot = %s AND number = %s AND state = 'running'
            """,
            [run.bot, run.number],
        ).rowcount
        == 1
    )


def list_runs(connection: Connection, bot: str, limit: int) -> list[Run]:
    """The bot's runs, the newest first."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT {_RUN} FROM runs WHERE bot = %s ORDER BY number DESC LIMIT %s",  # noqa: S608
            [bot, limit],
        ).fetchall()


def find(connection: Connection, bot: str, run: str | None = None) -> Run:
    """The run that a person means: its number or its id; None: the newest.

    Raises MynahError where there is no such run.
    """
    where, value = ("true", None) if run is None else ("id = %(run)s", run)
    if run and run.isascii() and run.isdecimal() and len(run) < 10:
        where = "number = %(run)s::integer"
    with connection.cursor(row_factory=_ROW) as cursor:
        found = cursor.execute(
            f"SELECT {_RUN} FROM runs WHERE bot = %(bot)s AND {where} ORDER BY number DESC LIMIT 1",  # noqa: S608
            {"bot": bot, "run": value},
        ).fetchone()
    if found:
        return found
    if run is None:
        raise MynahError(f"bot {bot} has no runs yet: `mynah train {bot}` makes one")
    raise UsageError(f"bot {bot} has no run {run}: `mynah runs {bot}` lists them by number and id")


def unfinished(connection: Connection, bot: str, ending: str) -> str | None:
    """The id of the newest run whose id ends in `ending` and that has published no model."""
    (id,) = connection.execute(
        "SELECT max(id) FROM runs WHERE bot = %s AND right(id, length(%s) + 1) = '-' || %s AND model IS NULL",
        [bot, ending, ending],
    ).fetchone() or (None,)
    return None if id is None else str(id)


def lines(connection: Connection, run: Run, after: int = 0, limit: int = 1000) -> list[Line]:
    """What the run's trainer said, in order, after the line of the id `after`; at most `limit` lines."""
    with connection.cursor(row_factory=rows_of(Line)) as cursor:
        return cursor.execute(
            "SELECT id, at, line FROM run_lines WHERE bot = %s AND number = %s AND id > %s ORDER BY id LIMIT %s",
            [run.bot, run.number, after, limit],
        ).fetchall()


def points(connection: Connection, run: Run) -> list[dict[str, Any]]:
    """How far the run had come at each time it said so, by step."""
    found = connection.execute(
        "SELECT point FROM run_points WHERE bot = %s AND number = %s ORDER BY step", [run.bot, run.number]
    ).fetchall()
    return [point for (point,) in found]
