"""The sessions table: where accounts are signed in, as bytes that only the account's password opens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from mynah.database.connection import Connection, rows_of


@dataclass(frozen=True)
class Kept:
    """What is known of an account's sign-in."""

    session: bytes | None = None
    """Encrypted."""
    refused: str | None = None
    """Why the server did not let it in the last time."""
    refused_token: bytes | None = None
    """Made of the password that was refused; None: the server lets nobody in."""
    refused_until: datetime | None = None


_ROW = rows_of(Kept)


def read(connection: Connection, server: str, handle: str) -> Kept:
    """What is kept of an account."""
    with connection.cursor(row_factory=_ROW) as cursor:
        row = cursor.execute("SELECT * FROM sessions WHERE server = %s AND handle = %s", [server, handle]).fetchone()
    return row or Kept()


@contextmanager
def alone(connection: Connection, server: str, handle: str) -> Iterator[Kept]:
    """What is kept of an account, while nobody else signs it in or renews its session."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO sessions (server, handle) VALUES (%s, %s) ON CONFLICT DO NOTHING", [server, handle]
        )
        connection.execute(
            "SELECT FROM sessions WHERE server = %s AND handle = %s FOR UPDATE", [server, handle]
        ).fetchone()
        yield read(connection, server, handle)


def keep(connection: Connection, server: str, handle: str, kept: Kept) -> None:
    """Write down what is known now."""
    connection.execute(
        """
        UPDATE sessions SET session = %s, refused = %s, refused_token = %s, refused_until = %s, updated_at = now()
        WHERE server = %s AND handle = %s
        """,
        [kept.session, kept.refused, kept.refused_token, kept.refused_until, server, handle],
    )
