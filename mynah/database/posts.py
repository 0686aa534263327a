"""The posts table: what became of a tweet on an account of its bot. A text goes to an account once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from mynah.database.connection import Connection, rows_of


@dataclass(frozen=True)
class Post:
    """A row of `posts`: a tweet and an account."""

    id: int
    tweet_id: int
    bot: str
    account: str
    """Its name in the bot file."""
    text: str
    slot: datetime | None
    """The time of the account's schedule that it is for; None: a person asked for it, or it was given back."""
    state: str
    """claimed, posted, unknown, returned or refused."""
    attempts: int
    claimed_at: datetime
    """When it was last claimed."""
    posted_at: datetime | None
    post_id: str | None
    post_url: str | None
    reason: str | None
    record: dict[str, Any] | None = None
    """What the account's call sends; see jobs.accounts."""


_ROW = rows_of(Post)
_LIVE = "('claimed', 'posted', 'unknown')"  # the account has the text, or may have it

_CLAIM = f"""
    WITH chosen AS (
        SELECT id, bot, text, text_key FROM tweets AS t
        WHERE bot = %(bot)s AND judgement = 'approved' AND text_key IS NOT NULL
          AND NOT EXISTS (
            SELECT FROM posts WHERE tweet_id = t.id AND account = %(account)s AND state <> 'returned')
          AND NOT EXISTS (
            SELECT FROM posts
            WHERE bot = t.bot AND account = %(account)s AND text_key = t.text_key AND state IN {_LIVE})
          AND NOT EXISTS (
            SELECT FROM posts WHERE bot = t.bot AND account = %(account)s AND slot = %(slot)s AND state IN {_LIVE})
        ORDER BY random() LIMIT 1 FOR UPDATE {{}}
    )
    INSERT INTO posts AS p (tweet_id, bot, account, text, text_key, slot)
    SELECT id, bot, %(account)s, text, text_key, %(slot)s::timestamptz FROM chosen
    ON CONFLICT (tweet_id, account) DO UPDATE SET
        state = 'claimed', attempts = p.attempts + 1, text = EXCLUDED.text, text_key = EXCLUDED.text_key,
        slot = EXCLUDED.slot, claimed_at = now(), reason = NULL,
        record = CASE WHEN p.text = EXCLUDED.text THEN p.record END
    WHERE p.state = 'returned'
    RETURNING *
"""  # noqa: S608 — nothing in it comes from outside


def claim(connection: Connection, bot: str, account: str, slot: datetime | None = None) -> Post | None:
    """Take one random approved tweet that the account neither has nor refused, or None.

    Two posters never get the same one. `slot` is the time of the account's schedule that the post is made for; None
    where that time has its post already.
    """
    arguments = {"bot": bot, "account": account, "slot": slot}
    with connection.cursor(row_factory=_ROW) as cursor:
        try:
            # First what nobody else has in hand; then wait for the rest: another account may be taking the only one.
            for locked in ("SKIP LOCKED", ""):
                if post := cursor.execute(_CLAIM.format(locked), arguments).fetchone():
                    return post
        except psycopg.errors.UniqueViolation:  # another poster took the slot at this moment
            pass
    return None


def keep(connection: Connection, id: int, record: dict[str, Any]) -> None:
    """Store with a claim what the account's call will send."""
    connection.execute("UPDATE posts SET record = %s WHERE id = %s", [Jsonb(record), id])


def count_claimable(connection: Connection, bot: str, account: str) -> int:
    """How many approved tweets the account has yet to get."""
    row = connection.execute(
        """
        SELECT count(*) FROM tweets AS t
        WHERE bot = %(bot)s AND judgement = 'approved' AND text_key IS NOT NULL AND NOT EXISTS (
            SELECT FROM posts WHERE tweet_id = t.id AND account = %(account)s AND state <> 'returned')
        """,
        {"bot": bot, "account": account},
    ).fetchone()
    return int(row[0]) if row else 0


def slot_post(connection: Connection, bot: str, account: str, slot: datetime) -> Post | None:
    """The post that was made for a time of the account's schedule, or may have been; None where the time has none."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT * FROM posts WHERE bot = %s AND account = %s AND slot = %s AND state IN {_LIVE}",  # noqa: S608
            [bot, account, slot],
        ).fetchone()


def record(connection: Connection, id: int, post_id: str, post_url: str) -> None:
    """A claimed or unknown post was posted; one that was given back meanwhile turned up after all.

    Raises psycopg.errors.UniqueViolation where another row has this very post: two bots share an account and a text.
    """
    connection.execute(
        """
        UPDATE posts SET state = 'posted', posted_at = now(), post_id = %s, post_url = %s, reason = NULL
        WHERE id = %s
        """,
        [post_id, post_url, id],
    )


def give_back(connection: Connection, id: int, reason: str | None = None) -> None:
    """A claimed or unknown post was not posted; it may be claimed again."""
    connection.execute("UPDATE posts SET state = 'returned', reason = %s WHERE id = %s", [reason, id])


def refuse(connection: Connection, id: int, reason: str) -> None:
    """The account does not take this text. It is not claimed again for it before a person edits or approves it."""
    connection.execute("UPDATE posts SET state = 'refused', reason = %s WHERE id = %s", [reason, id])


def doubt(connection: Connection, id: int, reason: str) -> None:
    """Nobody knows whether a claimed post was posted."""
    connection.execute("UPDATE posts SET state = 'unknown', reason = %s WHERE id = %s", [reason, id])


def claimed(connection: Connection, bot: str, account: str, age: timedelta) -> list[Post]:
    """Posts that a poster took at least `age` ago and never reported on: it was killed."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM posts WHERE bot = %s AND account = %s AND state = 'claimed' AND claimed_at <= now() - %s
            ORDER BY id
            """,
            [bot, account, age],
        ).fetchall()


def unknown(connection: Connection, bot: str, account: str) -> list[Post]:
    """Posts of whose fate nobody knows, the last attempt first."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM posts WHERE bot = %s AND account = %s AND state = 'unknown' ORDER BY claimed_at DESC, id",
            [bot, account],
        ).fetchall()


def last_post(connection: Connection, bot: str) -> Post | None:
    """The bot's newest post, on whatever account."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM posts WHERE bot = %s AND state = 'posted' ORDER BY posted_at DESC, id DESC LIMIT 1", [bot]
        ).fetchone()


def list_posts(
    connection: Connection, bot: str, limit: int, account: str | None = None, state: str | None = None
) -> list[Post]:
    """The bot's posts, the last attempt first; of one account or state where it is named."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM posts
            WHERE bot = %(bot)s AND account = coalesce(%(account)s, account) AND state = coalesce(%(state)s, state)
            ORDER BY claimed_at DESC, id DESC LIMIT %(limit)s
            """,
            {"bot": bot, "account": account, "state": state, "limit": limit},
        ).fetchall()


@contextmanager
def poster_lock(connection: Connection, bot: str, account: str) -> Iterator[bool]:
    """True while no other poster of this account works; freed with the connection, whatever happens to its process."""
    # For `main` it is the lock that version 0.2.0 takes, so that the two do not work at once.
    key = bot if account == "main" else f"{bot}/{account}"
    (taken,) = connection.execute("SELECT pg_try_advisory_lock(hashtext('post'), hashtext(%s))", [key]).fetchone() or (
        False,
    )
    try:
        yield bool(taken)
    finally:
        if taken and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtext('post'), hashtext(%s))", [key])
