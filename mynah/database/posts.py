"""The posts table: what became of a tweet on an account of its bot. A text goes to an account once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from mynah.database.connection import Connection, rows_of

ASK_FOR = timedelta(days=1)  # how long an account is asked about a post in doubt, until a person is asked too
GIVE_UP = 5  # attempts that came to nothing, while other texts were posted: then a person decides


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
    cost: Decimal = Decimal(0)
    """Dollars that it costs, or may cost."""
    failures: int = 0
    """Attempts that came to nothing since a person last decided."""
    failed_at: datetime | None = None
    """When the first of them was claimed."""
    alike: str | None = None
    """Where in doubt: the address of a post that differs from it in nothing but links."""

    @property
    def for_a_person(self) -> bool:
        """Whether it is in doubt and only a look at the account tells."""
        return self.state == "unknown" and (self.alike is not None or datetime.now(UTC) - self.claimed_at > ASK_FOR)


_ROW = rows_of(Post)
LIVE = "('claimed', 'posted', 'unknown')"  # the account has the text, or may have it

# Two indexes in the order of the ids say which approved tweets the account has yet to get (tweets_stock, posts_taken):
# that takes milliseconds with 100,000 of both. A few are drawn, and the first of them that nobody has in hand is taken.
_FREE = """
    SELECT id FROM tweets AS t
    WHERE bot = %(bot)s AND judgement = 'approved' AND text_key IS NOT NULL AND NOT EXISTS (
        SELECT FROM posts WHERE bot = %(bot)s AND account = %(account)s AND tweet_id = t.id AND state <> 'returned')
"""
_DRAWN = 20  # tweets

_CLAIM = f"""
    WITH free AS MATERIALIZED ({_FREE}), drawn AS MATERIALIZED (
        SELECT free.id, row_number() OVER (ORDER BY paused.id IS NOT NULL, random()) AS place
        FROM free LEFT JOIN posts AS paused ON paused.tweet_id = free.id AND paused.bot = %(bot)s
            AND paused.account = %(account)s AND paused.state = 'returned' AND paused.retry_at > now()
        ORDER BY place LIMIT {_DRAWN}
    ), chosen AS (
        SELECT t.id, bot, text, text_key FROM drawn JOIN tweets AS t ON t.id = drawn.id
        WHERE judgement = 'approved' AND NOT EXISTS (
            SELECT FROM posts
            WHERE bot = t.bot AND account = %(account)s AND text_key = t.text_key AND state IN {LIVE})
          AND NOT EXISTS (
            SELECT FROM posts WHERE bot = t.bot AND account = %(account)s AND slot = %(slot)s AND state IN {LIVE})
        ORDER BY place LIMIT 1 FOR UPDATE OF t {{}}
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
    try:
        with connection.transaction(), connection.cursor(row_factory=_ROW) as cursor:
            # First what nobody else has in hand; then wait for the rest: another account may be taking the only one.
            for locked in ("SKIP LOCKED", ""):
                if post := cursor.execute(_CLAIM.format(locked), arguments).fetchone():
                    return post
    except psycopg.errors.UniqueViolation:  # another poster took the slot at this moment
        pass
    return None


def keep(connection: Connection, id: int, record: dict[str, Any] | None, cost: Decimal) -> None:
    """Store with a claim what the account's call will send, and the dollars that it costs."""
    connection.execute("UPDATE posts SET record = %s, cost = %s WHERE id = %s", [record and Jsonb(record), cost, id])


def count_claimable(connection: Connection, bot: str, account: str) -> int:
    """How many approved tweets the account has yet to get."""
    row = connection.execute(f"SELECT count(*) FROM ({_FREE}) AS _", {"bot": bot, "account": account}).fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def slot_post(connection: Connection, bot: str, account: str, slot: datetime) -> Post | None:
    """The post that was made for a time of the account's schedule, or may have been; None where the time has none."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT * FROM posts WHERE bot = %s AND account = %s AND slot = %s AND state IN {LIVE}",  # noqa: S608
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


def give_back(connection: Connection, id: int, reason: str | None = None) -> bool:
    """A claimed or unknown post was not posted. It may be claimed again; for a growing while, others go first.

    After GIVE_UP attempts, where the account took other texts meanwhile, it is refused instead, and a person decides.
    Returns whether it was given back.
    """
    row = connection.execute(
        """
        UPDATE posts AS p SET (state, reason) = (
                SELECT CASE WHEN give_up THEN 'refused' ELSE 'returned' END,
                    CASE WHEN give_up THEN format('%%s attempts came to nothing; the last: %%s', failures + 1,
                        coalesce(%(reason)s, 'its poster was killed')) ELSE %(reason)s END
                FROM (SELECT p.failures + 1 >= %(most)s AND EXISTS (
                    SELECT FROM posts WHERE bot = p.bot AND account = p.account AND state = 'posted'
                        AND posted_at > coalesce(p.failed_at, p.claimed_at)) AS give_up) AS _
            ),
            failures = failures + 1,
            failed_at = coalesce(failed_at, claimed_at),
            retry_at = now() + interval '1 minute' * power(2, least(failures, 10))
        WHERE id = %(id)s RETURNING state
        """,
        {"id": id, "reason": reason, "most": GIVE_UP},
    ).fetchone()
    return row is None or row[0] == "returned"


def refuse(connection: Connection, id: int, reason: str) -> None:
    """The account does not take this text. It is not claimed again for it before a person edits or approves it."""
    connection.execute("UPDATE posts SET state = 'refused', reason = %s WHERE id = %s", [reason, id])


def doubt(connection: Connection, id: int, reason: str) -> None:
    """Nobody knows whether a claimed post was posted."""
    connection.execute("UPDATE posts SET state = 'unknown', reason = %s WHERE id = %s", [reason, id])


def abandoned(connection: Connection, bot: str, account: str) -> list[Post]:
    """Put in doubt what posters of this account claimed and never reported on. The caller has the poster's lock."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            UPDATE posts SET state = 'unknown', reason = 'its poster was killed'
            WHERE bot = %s AND account = %s AND state = 'claimed' RETURNING *
            """,
            [bot, account],
        ).fetchall()


def unknown(connection: Connection, bot: str, account: str, limit: int | None = None) -> list[Post]:
    """Posts of whose fate nobody knows, the last attempt first."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM posts WHERE bot = %s AND account = %s AND state = 'unknown'
            ORDER BY claimed_at DESC, id LIMIT %s
            """,
            [bot, account, limit],
        ).fetchall()


def looks_like(connection: Connection, id: int, url: str) -> None:
    """Note on a post in doubt that one on the account differs from it in nothing but links."""
    connection.execute("UPDATE posts SET alike = %s WHERE id = %s AND state = 'unknown'", [url, id])


def with_urls(connection: Connection, urls: list[str]) -> dict[str, int]:
    """Which of these addresses are of recorded posts, with those posts' ids."""
    found = connection.execute("SELECT post_url, id FROM posts WHERE post_url = ANY(%s)", [urls])
    return dict(found.fetchall())


def newest_before(connection: Connection, bot: str, account: str, time: datetime) -> str | None:
    """The account's id of a post that was made before this time: the newest one known."""
    row = connection.execute(
        """
        SELECT post_id FROM posts WHERE bot = %s AND account = %s AND state = 'posted' AND posted_at <= %s
        ORDER BY posted_at DESC LIMIT 1
        """,
        [bot, account, time],
    ).fetchone()
    return row[0] if row else None


def last_post(connection: Connection, bot: str) -> Post | None:
    """The bot's newest post, on whatever account."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            "SELECT * FROM posts WHERE bot = %s AND state = 'posted' ORDER BY posted_at DESC, id DESC LIMIT 1", [bot]
        ).fetchone()


def list_posts(
    connection: Connection,
    bot: str,
    limit: int,
    account: str | None = None,
    state: str | None = None,
    tweet: int | None = None,
) -> list[Post]:
    """The bot's posts, the last attempt first; of one account, state or tweet where it is named."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM posts
            WHERE bot = %(bot)s AND (%(account)s::text IS NULL OR account = %(account)s)
                AND (%(state)s::text IS NULL OR state = %(state)s)
                AND (%(tweet)s::bigint IS NULL OR tweet_id = %(tweet)s)
            ORDER BY claimed_at DESC, id DESC LIMIT %(limit)s
            """,
            {"bot": bot, "account": account, "state": state, "tweet": tweet, "limit": limit},
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
