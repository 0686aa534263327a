"""The spend table: what a bot's sources may cost, written before a request is sent, and what they did cost.

Dollars are Decimal. A month is a calendar month in UTC, by the database's clock.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from mynah.database.connection import Connection, rows_of

# A service's day may begin some minutes before or after ours.
_SAME_DAY = """
    ((reserved_at - interval '5 minutes') AT TIME ZONE 'UTC')::date
  = ((clock_timestamp() + interval '5 minutes') AT TIME ZONE 'UTC')::date
"""
_THIS_MONTH = "reserved_at >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


@dataclass(frozen=True)
class Sent:
    """How a request is sent, and what it costs at most."""

    parameters: dict[str, Any]
    most: Decimal


@dataclass(frozen=True)
class Reservation:
    """A row of `spend`."""

    id: UUID
    bot: str
    source: str
    request: str
    """What is asked for, in the source's own words."""
    sent: dict[str, Any]
    """How exactly it is to be asked."""
    cost: Decimal
    """The most that it may cost; what it did cost once it is settled."""
    reserved_at: datetime
    settled_at: datetime | None


def reserve(
    connection: Connection, bot: str, source: str, request: str, cap: Decimal, how: Callable[[Decimal], Sent | None]
) -> Reservation | None:
    """Reserve what a request costs at most, before it is sent; None where the rest of the month's `cap` is too small.

    `how` is told the rest, and says how the request is sent for that; None where it cannot be.
    A reservation that a killed process left today for the same request is taken up again: send what *it* says, for then
    the service charges nothing twice.
    """
    key = {"bot": bot, "source": source, "request": request}
    with connection.transaction(), connection.cursor(row_factory=rows_of(Reservation)) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('spend of ' || %s, 0))", [bot])
        left = cursor.execute(
            f"""
            SELECT * FROM spend
            WHERE bot = %(bot)s AND source = %(source)s AND request = %(request)s AND settled_at IS NULL AND {_SAME_DAY}
            ORDER BY reserved_at LIMIT 1
            """,  # noqa: S608 — nothing in it comes from outside
            key,
        ).fetchone()
        if left:
            return left
        rest = cap - spent(connection, bot)
        sent = how(rest)
        if sent is None or sent.most > rest:
            return None
        return cursor.execute(
            """
            INSERT INTO spend (bot, source, request, sent, cost)
            VALUES (%(bot)s, %(source)s, %(request)s, %(sent)s, %(most)s) RETURNING *
            """,
            {**key, "sent": json.dumps(sent.parameters), "most": sent.most},
        ).fetchone()


def settle(connection: Connection, id: UUID, cost: Decimal) -> None:
    """Say what a request cost. What is settled stays as it is."""
    connection.execute(
        "UPDATE spend SET cost = %s, settled_at = clock_timestamp() WHERE id = %s AND settled_at IS NULL", [cost, id]
    )


def spent(connection: Connection, bot: str) -> Decimal:
    """Dollars that the bot's sources have cost this month, or may have."""
    row = connection.execute(
        f"""
        SELECT coalesce(sum(cost), 0) FROM spend WHERE bot = %s AND {_THIS_MONTH} AND source NOT LIKE 'account %%'
        """,  # noqa: S608
        [bot],
    ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)
