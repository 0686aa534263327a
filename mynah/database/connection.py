"""A connection to Postgres whose tables are as this code knows them.

With `DATABASE_URL` or libpq's `PG*` set, that server is used; else a PostgreSQL of our own, from a Python package, with
its files in MYNAH_HOME.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg

from mynah.database.embedded import start
from mynah.database.migrations import migrate, missing
from mynah.errors import MynahError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

WAIT = 120.0  # seconds for somebody else's migration: a pod may start before the chart's prepare job
POLL = 1.0  # seconds between two looks


def connect(url: str | None, home: Path, user: str = "") -> Connection:
    """Connect as `user` (who decides, promotes …) and return an autocommit connection.

    `url` is libpq's connection string; "" leaves everything to PG*; None starts the embedded server in `home`, which is
    migrated here. Another server is migrated by `mynah migrate` or the chart: it is waited for.
    Raises MynahError with one line where no server answers, or it still lacks a migration after WAIT seconds.
    """
    connection = reach(url, home, user)
    try:
        if url is None:
            migrate(connection)
        else:
            _wait_for_migrations(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def reach(url: str | None, home: Path, user: str = "") -> Connection:
    """Connect as `connect` does, and take the tables as they are: for what migrates. Raises MynahError likewise."""
    if url is None:
        url = start(home)
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise MynahError(f"Postgres does not answer: {reason}; check DATABASE_URL or PG*") from None
    if user:
        connection.execute("SELECT set_config('mynah.user', %s, false)", [user])
    return connection


def _wait_for_migrations(connection: Connection) -> None:
    give_up = time.monotonic() + WAIT
    said = False
    while lacking := [name.removesuffix(".sql") for name in missing(connection)]:
        lacks = f"the database lacks {', '.join(lacking)}"
        if time.monotonic() >= give_up:
            raise MynahError(f"{lacks}: run `mynah migrate`, or wait for the chart's prepare job")
        if not said:
            print(f"{lacks}: waiting up to {WAIT:.0f} s for `mynah migrate`", file=sys.stderr, flush=True)
            said = True
        time.sleep(min(POLL, max(0.0, give_up - time.monotonic())))


def rows_of(kind: type[Row]) -> Callable[[psycopg.Cursor[Any]], Callable[[Sequence[Any]], Row]]:
    """psycopg's row factory for a dataclass whose fields are called like the columns.

    Columns that it does not know are left out: after a rollback, old code reads a table that a newer migration has
    widened.
    """
    known = {field.name for field in fields(kind)}

    def factory(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
        columns = [column.name for column in cursor.description or ()]

        def row(values: Sequence[Any]) -> Row:
            return kind(**{name: value for name, value in zip(columns, values, strict=True) if name in known})

        return row

    return factory
