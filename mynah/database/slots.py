"""The slots table: times of an account's schedule whose post was tried in vain; in the end, those that were missed."""

from dataclasses import dataclass
from datetime import datetime

from mynah.database.connection import Connection, rows_of


@dataclass(frozen=True)
class Slot:
    """A row of `slots`."""

    bot: str
    account: str
    slot: datetime
    """The time."""
    tries: int
    retry_at: datetime | None
    """It is not tried before."""
    reason: str
    """Why the last try came to nothing."""
    missed_at: datetime | None
    """When it was given up."""


_ROW = rows_of(Slot)


def get(connection: Connection, bot: str, account: str, slot: datetime) -> Slot | None:
    """What became of this time so far; None: it was not tried, or not in vain."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM slots WHERE bot = %s AND account = %s AND slot = %s", [bot, account, slot]
        ).fetchone()


def failed(
    connection: Connection,
    bot: str,
    account: str,
    slot: datetime,
    reason: str,
    until: datetime | None = None,
    pause: bool = True,
) -> None:
    """A try came to nothing. The next waits 5 s, then twice as long each time, up to 5 minutes; or until `until`.

    Without `pause`, it does not wait: it has taken long enough to know.
    """
    connection.execute(
        """
        INSERT INTO slots AS s (bot, account, slot, tries, reason, retry_at)
        VALUES (%(bot)s, %(account)s, %(slot)s, 1, %(reason)s,
            CASE WHEN %(pause)s THEN greatest(now() + interval '5 s', %(until)s::timestamptz) END)
        ON CONFLICT (bot, account, slot) DO UPDATE SET
            tries = s.tries + 1, reason = EXCLUDED.reason,
            retry_at = CASE WHEN %(pause)s THEN greatest(%(until)s::timestamptz,
                now() + least(interval '5 s' * power(2, least(s.tries, 10)), interval '5 min')) END
        """,
        {"bot": bot, "account": account, "slot": slot, "reason": reason, "until": until, "pause": pause},
    )


def miss(connection: Connection, bot: str, account: str, slot: datetime, reason: str) -> Slot | None:
    """Give up a time; what was said of it already stays. None where it was given up before."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            INSERT INTO slots AS s (bot, account, slot, reason, missed_at) VALUES (%s, %s, %s, %s, now())
            ON CONFLICT (bot, account, slot) DO UPDATE SET missed_at = now() WHERE s.missed_at IS NULL
            RETURNING *
            """,
            [bot, account, slot, reason],
        ).fetchone()


def miss_before(connection: Connection, bot: str, account: str, slot: datetime) -> list[Slot]:
    """Give up the times before this one that were tried in vain; returns them. Those that have their post are done."""
    tried = "bot = %(bot)s AND account = %(account)s AND slot < %(slot)s AND missed_at IS NULL"
    post = "SELECT FROM posts WHERE bot = s.bot AND account = s.account AND slot = s.slot AND state"
    key = {"bot": bot, "account": account, "slot": slot}
    connection.execute(f"DELETE FROM slots AS s WHERE {tried} AND EXISTS ({post} = 'posted')", key)  # noqa: S608
    missed = f"{tried} AND NOT EXISTS ({post} IN ('claimed', 'unknown'))"
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"UPDATE slots AS s SET missed_at = now() WHERE {missed} RETURNING *",  # noqa: S608
            key,
        ).fetchall()


def missed(connection: Connection, bot: str, account: str, days: int, limit: int | None = None) -> list[Slot]:
    """The times that were given up in the last days, the newest first."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM slots
            WHERE bot = %s AND account = %s AND slot > now() - make_interval(days => %s) AND missed_at IS NOT NULL
            ORDER BY slot DESC LIMIT %s
            """,
            [bot, account, days, limit],
        ).fetchall()
