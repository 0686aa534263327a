"""The numbered files of sql/, applied once each in the order of their names."""

import importlib.resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mynah.database.connection import Connection

# Any fixed number: two processes that migrate take the same lock, of whatever version they are.
LOCK = 6_929_104_621


def migrate(connection: "Connection") -> list[str]:
    """Apply the files that this database has not had; returns their names.

    One transaction under an advisory lock: safe when several start at once, and all or nothing.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        new = missing(connection)
        for file in files():
            if file.name in new:
                connection.execute(file.read_text(encoding="utf-8").encode())
                connection.execute("INSERT INTO migrations (name) VALUES (%s)", [file.name])
    return new


def missing(connection: "Connection") -> list[str]:
    """The names of the files that this database has not had; what a newer version added is none of our business."""
    (table,) = connection.execute("SELECT to_regclass('migrations')").fetchone() or (None,)
    done = {name for (name,) in connection.execute("SELECT name FROM migrations")} if table else set()
    return [file.name for file in files() if file.name not in done]


def files() -> list[Traversable]:
    """The files of sql/, in order."""
    folder = importlib.resources.files("mynah.database") / "sql"
    return sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
