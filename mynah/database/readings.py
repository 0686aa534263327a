"""The readings table: how far an account's own posts were read. A reading that stopped goes on where it was."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mynah.database.connection import Connection, rows_of

STALE = timedelta(hours=1)  # a reading that was begun before is begun anew


@dataclass(frozen=True)
class Reading:
    """A row of `readings`."""

    bot: str
    account: str
    what: str
    """What for: doubt, or reactions."""
    begun_at: datetime
    """What the account shows of the time before is read."""
    since: datetime
    """How far back it goes."""
    after: str | None
    """The account's id of a post from before `since`."""
    cursor: str | None
    """Where it goes on; None: with the newest."""
    done_at: datetime | None


_ROW = rows_of(Reading)


def begin(connection: Connection, bot: str, account: str, what: str, since: datetime, after: str | None) -> Reading:
    """The reading that stopped; a new one where there is none, it is done or stale, or goes not far enough back."""
    key = {"bot": bot, "account": account, "what": what, "since": since, "after": after, "stale": STALE}
    with connection.cursor(row_factory=_ROW) as cursor:
        cursor.execute(
            """
            INSERT INTO readings AS r (bot, account, what, since, after)
            VALUES (%(bot)s, %(account)s, %(what)s, %(since)s, %(after)s)
            ON CONFLICT (bot, account, what) DO UPDATE SET
                begun_at = clock_timestamp(), since = EXCLUDED.since, after = EXCLUDED.after,
                cursor = NULL, done_at = NULL
            WHERE r.done_at IS NOT NULL OR r.cursor IS NULL OR r.since > EXCLUDED.since
                OR r.begun_at < clock_timestamp() - %(stale)s::interval
            """,
            key,
        )
        reading = cursor.execute(
            "SELECT * FROM readings WHERE bot = %(bot)s AND account = %(account)s AND what = %(what)s", key
        ).fetchone()
    assert reading is not None  # noqa: S101 — it was made above
    return reading


def move(connection: Connection, reading: Reading, cursor: str | None) -> None:
    """A page was read: the reading goes on at `cursor`, or is done where there is none."""
    connection.execute(
        """
        UPDATE readings SET cursor = %(cursor)s,
            done_at = CASE WHEN %(cursor)s::text IS NULL THEN clock_timestamp() END
        WHERE bot = %(bot)s AND account = %(account)s AND what = %(what)s
        """,
        {"cursor": cursor, "bot": reading.bot, "account": reading.account, "what": reading.what},
    )


def done_today(connection: Connection, bot: str, account: str, what: str) -> bool:
    """Whether such a reading was done on this day, in UTC."""
    row = connection.execute(
        """
        SELECT FROM readings WHERE bot = %s AND account = %s AND what = %s
            AND (done_at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date
        """,
        [bot, account, what],
    ).fetchone()
    return row is not None
