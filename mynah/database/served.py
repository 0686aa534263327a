"""Which model is a bot's current one, and was: an intention first, then the deed, so that a kill between is seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from mynah.database.connection import Connection, rows_of
from mynah.errors import MynahError


@dataclass(frozen=True)
class Served:
    """A row of `served`. Pending without `since` and `withdrawn_at`; current with `since` and without `until`."""

    id: int
    bot: str
    model: str
    asked_at: datetime
    since: datetime | None
    until: datetime | None
    withdrawn_at: datetime | None
    who: str
    why: str
    withdrawn_why: str | None


_ROW = rows_of(Served)


def current(connection: Connection, bot: str) -> Served | None:
    """The model that speaks for the bot."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM served WHERE bot = %s AND since IS NOT NULL AND until IS NULL", [bot]
        ).fetchone()


def current_models(connection: Connection) -> dict[str, str]:
    """Bot → the model that speaks for it."""
    return dict(
        connection.execute("SELECT bot, model FROM served WHERE since IS NOT NULL AND until IS NULL").fetchall()
    )


def pending(connection: Connection, bot: str) -> Served | None:
    """The change that was begun and has not ended: a process is at it, or was killed."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM served WHERE bot = %s AND since IS NULL AND withdrawn_at IS NULL", [bot]
        ).fetchone()


def ask(connection: Connection, bot: str, model: str, why: str) -> Served:
    """Write down that `model` is about to become current. Raises MynahError where another change is pending."""
    with connection.cursor(row_factory=_ROW) as cursor:
        try:
            asked = cursor.execute(
                "INSERT INTO served (bot, model, why) VALUES (%s, %s, %s) RETURNING *", [bot, model, why]
            ).fetchone()
        except psycopg.errors.UniqueViolation:
            other = pending(connection, bot)
            what = f"to {other.model}, begun by {other.who} at {other.asked_at:%Y-%m-%d %H:%M %Z}," if other else ""
            raise MynahError(f"a change of {bot}'s model {what} has not ended: wait for it, or end it first") from None
    assert asked is not None  # noqa: S101 — RETURNING returns it
    return asked


def carry_out(connection: Connection, id: int) -> None:
    """What was asked is done: its model is current from now on. Raises MynahError where it is not pending."""
    with connection.transaction():
        connection.execute(
            """
            UPDATE served SET until = clock_timestamp()
            WHERE bot = (SELECT bot FROM served WHERE id = %s) AND since IS NOT NULL AND until IS NULL
            """,
            [id],
        )
        done = connection.execute(
            "UPDATE served SET since = clock_timestamp() WHERE id = %s AND since IS NULL AND withdrawn_at IS NULL", [id]
        )
        if done.rowcount != 1:
            raise MynahError(f"the change of model {id} is not pending: another process ended it")


def withdraw(connection: Connection, id: int, why: str) -> None:
    """What was asked is not done, and the current model stays. Nothing happens where it is not pending."""
    connection.execute(
        """
        UPDATE served SET withdrawn_at = clock_timestamp(), withdrawn_why = %s
        WHERE id = %s AND since IS NULL AND withdrawn_at IS NULL
        """,
        [why, id],
    )


def previous(connection: Connection, bot: str) -> Served | None:
    """The last time that another model than the current one was current, and not one that was refused since."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM served AS s
            WHERE bot = %(bot)s AND until IS NOT NULL
              AND model NOT IN (SELECT model FROM served WHERE bot = %(bot)s AND since IS NOT NULL AND until IS NULL)
              AND NOT EXISTS (SELECT FROM refused WHERE bot = s.bot AND model = s.model)
            ORDER BY until DESC, id DESC LIMIT 1
            """,
            {"bot": bot},
        ).fetchone()


def history(connection: Connection, bot: str, limit: int) -> list[Served]:
    """The bot's changes of model, the newest first, those that were withdrawn too."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute("SELECT * FROM served WHERE bot = %s ORDER BY id DESC LIMIT %s", [bot, limit]).fetchall()


def refuse(connection: Connection, bot: str, model: str, why: str) -> None:
    """The model was judged bad, or rolled back from: none but a person tries it again."""
    connection.execute(
        """
        INSERT INTO refused (bot, model, why) VALUES (%s, %s, %s)
        ON CONFLICT (bot, model) DO UPDATE SET at = EXCLUDED.at, who = EXCLUDED.who, why = EXCLUDED.why
        """,
        [bot, model, why],
    )


def accept(connection: Connection, bot: str, model: str) -> None:
    """The model is refused no longer."""
    connection.execute("DELETE FROM refused WHERE bot = %s AND model = %s", [bot, model])


def refused(connection: Connection, bot: str) -> dict[str, str]:
    """The bot's refused models and why."""
    return dict(connection.execute("SELECT model, why FROM refused WHERE bot = %s ORDER BY at", [bot]).fetchall())


@contextmanager
def change_lock(connection: Connection, bot: str) -> Iterator[bool]:
    """True while nobody else changes the bot's model; freed with the connection, whatever happens to its process.

    A machine that dies says no good-bye: the server asks after this client, and frees the lock within a minute.
    """
    connection.execute(
        "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),"
        " set_config('tcp_keepalives_count', '3', false)"
    )
    (taken,) = connection.execute(
        "SELECT pg_try_advisory_lock(hashtext('served'), hashtext(%s))", [bot]
    ).fetchone() or (False,)
    try:
        yield bool(taken)
    finally:
        if taken and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtext('served'), hashtext(%s))", [bot])
