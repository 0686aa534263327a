"""Texts and posts that come from elsewhere, stored all or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from mynah.database.connection import Connection
from mynah.errors import MynahError


@dataclass(frozen=True)
class Row:
    """A text; with `posted_at` and `post_url`, a post."""

    text: str
    state: str
    reason: str | None = None
    prompt: str = ""
    model: str | None = None
    score: float | None = None
    posted_at: datetime | None = None
    post_url: str | None = None


def store(connection: Connection, bot: str, account: str, rows: Sequence[Row]) -> dict[str, int]:
    """Store rows, in one transaction; a text or a post that the bot has, but for white space, is left as it is.

    A post is stored as one on `account`. Its text stays a candidate in judgement, so that no other account takes it
    either. Returns how many were new: candidates, approved, posted; and known. Raises MynahError where another text has
    a post's address already.
    """
    counts = dict.fromkeys(("candidates", "approved", "posted", "known"), 0)
    with connection.transaction():
        for row in rows:
            stored = connection.execute(
                """
                INSERT INTO tweets (bot, text, state, reason, prompt, model, score)
                VALUES (%(bot)s, %(text)s, %(state)s, %(reason)s, %(prompt)s, %(model)s, %(score)s)
                ON CONFLICT DO NOTHING
                """,
                vars(row) | {"bot": bot, "state": "candidate" if row.posted_at else row.state},
            ).rowcount
            if row.posted_at:
                counts["posted" if _post(connection, bot, account, row) else "known"] += 1
            elif not stored:
                counts["known"] += 1
            else:
                counts["approved" if row.state == "approved" else "candidates"] += row.state != "rejected"
    return counts


def _post(connection: Connection, bot: str, account: str, row: Row) -> bool:
    """Note a post of a text that is stored; False where it is noted already."""
    try:
        with connection.transaction():
            return (
                connection.execute(
                    """
                    INSERT INTO posts AS p
                        (tweet_id, bot, account, text, text_key, state, claimed_at, posted_at, post_id, post_url)
                    SELECT id, bot, %(account)s, text, text_key, 'posted', %(posted_at)s, %(posted_at)s, %(id)s, %(url)s
                    FROM tweets WHERE bot = %(bot)s AND text_key = text_key(%(text)s)
                    ON CONFLICT (tweet_id, account) DO UPDATE SET
                        state = 'posted', posted_at = EXCLUDED.posted_at, post_id = EXCLUDED.post_id,
                        post_url = EXCLUDED.post_url, reason = NULL
                    WHERE p.state IN ('returned', 'refused', 'unknown')
                    """,
                    {
                        "bot": bot,
                        "account": account,
                        "text": row.text,
                        "posted_at": row.posted_at,
                        "id": (row.post_url or "").rstrip("/").rpartition("/")[2],
                        "url": row.post_url,
                    },
                ).rowcount
                == 1
            )
    except psycopg.errors.UniqueViolation:
        raise MynahError(f"{row.post_url} is the post of another text of {bot} already; nothing was imported") from None
