"""Leases: one works on a thing at a time, wherever it runs. Time is the database's; one not renewed is anybody's."""

from dataclasses import dataclass
from datetime import datetime

from mynah.database.connection import Connection, rows_of


@dataclass(frozen=True)
class Lease:
    """A row of `leases`: who works on what."""

    name: str
    holder: str
    taken_at: datetime
    expires_at: datetime


def take(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take the lease for `seconds`, where nobody else has it. A holder that comes back takes it again."""
    return (
        connection.execute(
            """
            INSERT INTO leases AS held (name, holder, taken_at, expires_at)
            VALUES (%(name)s, %(holder)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s))
            ON CONFLICT (name) DO UPDATE
            SET holder = EXCLUDED.holder, taken_at = EXCLUDED.taken_at, expires_at = EXCLUDED.expires_at
            WHERE held.holder = EXCLUDED.holder OR held.expires_at <= clock_timestamp()
            """,
            {"name": name, "holder": holder, "seconds": seconds},
        ).rowcount
        == 1
    )


def renew(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Keep the lease for `seconds` from now; False where it was lost. One that ran out and nobody took is not lost."""
    return (
        connection.execute(
            """
            UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => %s)
            WHERE name = %s AND holder = %s
            """,
            [seconds, name, holder],
        ).rowcount
        == 1
    )


def release(connection: Connection, name: str, holder: str) -> None:
    """Give the lease back, where `holder` still has it."""
    connection.execute("DELETE FROM leases WHERE name = %s AND holder = %s", [name, holder])


def held(connection: Connection, name: str) -> Lease | None:
    """Who has the lease now; None where it is free or has run out."""
    with connection.cursor(row_factory=rows_of(Lease)) as cursor:
        return cursor.execute(
            "SELECT * FROM leases WHERE name = %s AND expires_at > clock_timestamp()", [name]
        ).fetchone()
