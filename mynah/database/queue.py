"""The texts that wait for a person: which come next, who has which before their eyes, and those that fit a filter."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mynah.database.connection import Connection, rows_of
from mynah.database.tweets import Tweet
from mynah.search import Search, any_of
from mynah.text import fold_spaces

BEST_FIRST = "score DESC NULLS LAST, id"
"""The order in which people are shown texts; `tweets_best` is its index."""
LEASE = 600.0  # seconds for which a text is one person's, after the last key that they pressed
FEW = 2000  # texts that have the words: so many are fetched and sorted in milliseconds
_ROW = rows_of(Tweet)
# A lease is made, renewed, or taken over once it has run out.
_UNLESS_ANOTHERS = """
    ON CONFLICT (tweet_id) DO UPDATE SET holder = EXCLUDED.holder, who = EXCLUDED.who, expires_at = EXCLUDED.expires_at
    WHERE c.holder = EXCLUDED.holder OR c.expires_at <= clock_timestamp()
"""


@dataclass(frozen=True)
class Filter:
    """Which texts of a bot are meant; what is None is not asked."""

    state: str = "candidate"
    reason: str | None = None
    """The code of the rule that rejected them, or what a person said."""
    model: str | None = None
    prompt: str | None = None
    """Its beginning."""
    search: str | None = None
    """Words, as mynah.search takes them."""
    min_score: float | None = None

    def where(self, bot: str) -> tuple[str, dict[str, Any]]:
        """The condition on `tweets`, and its arguments."""
        conditions = {
            "bot = %(bot)s": bot,
            "state = %(state)s": self.state,
            "(reason = %(reason)s OR starts_with(reason, %(reason)s || ':'))": self.reason,
            "model = %(model)s": self.model,
            "starts_with(prompt, %(prompt)s)": self.prompt,
            "score >= %(min_score)s": self.min_score,
        }
        asked = [condition for condition, value in conditions.items() if value is not None]
        arguments = {"bot": bot, **vars(self)}
        if self.search is not None:
            words, more = Search.read(self.search).sql("text")
            asked.append(words)
            arguments |= more
        return " AND ".join(asked), arguments


def find(connection: Connection, bot: str, wanted: Filter, limit: int | None = None) -> list[Tweet]:
    """The bot's tweets that fit, the best first; posted ones the newest first."""
    where, arguments = wanted.where(bot)
    order = "posted_at DESC, id DESC" if wanted.state == "posted" else BEST_FIRST
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT * FROM tweets WHERE {where} ORDER BY {order} LIMIT %(limit)s",  # noqa: S608 — only our own words
            {**arguments, "limit": limit},
        ).fetchall()


def every(connection: Connection, bot: str) -> list[Tweet]:
    """All tweets of the bot, the oldest first."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute("SELECT * FROM tweets WHERE bot = %s ORDER BY id", [bot]).fetchall()


def search(connection: Connection, bot: str, words: Search, limit: int) -> list[Tweet]:
    """The bot's tweets of any state that have these words, the newest first."""
    where, arguments = words.sql("text")
    arguments |= {"bot": bot, "limit": limit, "few": FEW}
    order = "id"
    if any(term.begins for term in words.terms):
        # How many texts have a word that begins so, Postgres cannot guess. It would look through all, the newest first.
        few = connection.execute(
            f"SELECT count(*) < %(few)s FROM (SELECT FROM tweets WHERE {where} LIMIT %(few)s) AS begun",  # noqa: S608
            arguments,
        ).fetchone()
        order = "id + 0" if few and few[0] else "id"  # a sum is not what the index of ids is in the order of
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT * FROM tweets WHERE bot = %(bot)s AND {where} ORDER BY {order} DESC LIMIT %(limit)s",  # noqa: S608
            arguments,
        ).fetchall()


def next_candidates(
    connection: Connection, bot: str, wanted: Filter, holder: UUID, limit: int, beside: Collection[int] = ()
) -> list[Tweet]:
    """Lease the next texts that fit to `holder`, for LEASE seconds: at most `limit`, none of `beside`.

    No other holder has one of them before its lease has run out.
    """
    where, arguments = wanted.where(bot)
    take = f"""
        WITH chosen AS (
            SELECT * FROM tweets AS t
            WHERE {where} AND id <> ALL(%(beside)s::bigint[]) AND NOT EXISTS (
                SELECT FROM curating WHERE tweet_id = t.id AND holder <> %(holder)s AND expires_at > clock_timestamp())
            ORDER BY {BEST_FIRST} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ), taken AS (
            INSERT INTO curating AS c (tweet_id, holder, expires_at)
            SELECT id, %(holder)s, clock_timestamp() + make_interval(secs => %(lease)s) FROM chosen
            {_UNLESS_ANOTHERS}
            RETURNING tweet_id
        )
        SELECT chosen.*, id IN (SELECT tweet_id FROM taken) AS mine FROM chosen ORDER BY {BEST_FIRST}
    """  # noqa: S608 — only our own words
    arguments |= {"holder": holder, "lease": LEASE, "limit": limit, "beside": list(beside)}
    while True:
        with connection.cursor() as cursor:
            cursor.execute(take, arguments)
            make, mine = _ROW(cursor), [column.name for column in cursor.description or ()].index("mine")
            rows = cursor.fetchall()
        found = [make(row) for row in rows if row[mine]]
        # Somebody was quicker with all of them, after this statement had begun: it does not see their leases.
        if found or not rows:
            return found


def lease(connection: Connection, id: int, holder: UUID) -> bool:
    """Lease one text, or renew its lease; False where it is before somebody else."""
    return (
        connection.execute(
            f"""
            INSERT INTO curating AS c (tweet_id, holder, expires_at)
            VALUES (%(id)s, %(holder)s, clock_timestamp() + make_interval(secs => %(lease)s))
            {_UNLESS_ANOTHERS}
            """,  # noqa: S608 — only our own words
            {"id": id, "holder": holder, "lease": LEASE},
        ).rowcount
        == 1
    )


def release(connection: Connection, holder: UUID, id: int | None = None) -> None:
    """Give back a text, or all that the holder has."""
    connection.execute(
        "DELETE FROM curating WHERE holder = %s AND tweet_id = coalesce(%s::bigint, tweet_id)", [holder, id]
    )


def others(connection: Connection, bot: str, holder: UUID) -> list[str]:
    """Who else curates the bot just now."""
    rows = connection.execute(
        """
        SELECT DISTINCT who FROM curating JOIN tweets ON id = tweet_id
        WHERE bot = %s AND holder <> %s AND expires_at > clock_timestamp() ORDER BY who
        """,
        [bot, holder],
    )
    return [who for (who,) in rows]


def near(connection: Connection, tweet: Tweet, words: Collection[str], limit: int) -> list[Tweet]:
    """Texts of the bot that are posted or to be posted, and have one of these words, the newest first."""
    where, arguments = any_of(words, "text")
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"""
            SELECT * FROM tweets
            WHERE bot = %(bot)s AND id <> %(id)s AND state NOT IN ('candidate', 'rejected') AND {where}
            ORDER BY id DESC LIMIT %(limit)s
            """,  # noqa: S608
            {**arguments, "bot": tweet.bot, "id": tweet.id, "limit": limit},
        ).fetchall()


def shown(text: str, most: int = 60) -> str:
    """A text in one line of at most `most` characters, to tell which one is meant."""
    line = fold_spaces(text)
    return line if len(line) <= most else line[: most - 1] + "…"
