"""The tweets table: what a bot may say, one row a text, with its judgement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from mynah.database import STATES
from mynah.database.connection import Connection, rows_of
from mynah.database.decisions import Decision, decisions
from mynah.errors import MynahError


@dataclass(frozen=True)
class Tweet:
    """A row of `tweets`. `state` says how it stands as a whole; how with each account, `posts` says."""

    id: int
    bot: str
    text: str
    written: str
    """The text as it was first written; `text` is as people have edited it."""
    state: str
    judgement: str
    """candidate, approved or rejected; a posted tweet is an approved one, and so is one that an account refused."""
    revision: int
    """One more with each decision."""
    reason: str | None
    broken: list[dict[str, str]]
    """Every rule that it broke when it was stored, by `code` and `words`: it was rejected for the first."""
    prompt: str
    model: str | None
    sampling: dict[str, Any]
    seed: int | None
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
    """A text to store, with its verdict. `sampling` and `seed`: what the model was asked with."""

    text: str
    state: str = "candidate"
    reason: str | None = None
    prompt: str = ""
    model: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    score: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    broken: list[dict[str, str]] = field(default_factory=list)
    generation_id: int | None = None


class Stale(MynahError):
    """Somebody decided about the tweet after it was read. `tweet` is as it is now, `decision` what made it so."""

    def __init__(self, tweet: Tweet, decision: Decision | None) -> None:
        self.tweet, self.decision = tweet, decision
        what = f"{decision} meanwhile" if decision else "changed meanwhile"
        super().__init__(f"tweet {tweet.id} was {what}: look at it again")


_ROW = rows_of(Tweet)


def add_tweets(connection: Connection, bot: str, tweets: Iterable[NewTweet]) -> int:
    """Store texts, all or none; one that the bot has, but for white space, is left as it is. Returns how many were new.

    Those that come approved or rejected count as decided by the judge.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO tweets (bot, text, state, reason, prompt, model, sampling, seed, score, scores, broken,
                                generation_id, decided_at)
            VALUES (%(bot)s, %(text)s, %(state)s, %(reason)s, %(prompt)s, %(model)s, %(sampling)s, %(seed)s,
                    %(score)s, %(scores)s, %(broken)s, %(generation_id)s,
                    CASE WHEN %(state)s IN ('approved', 'rejected') THEN now() END)
            ON CONFLICT DO NOTHING
            """,
            [
                vars(t)
                | {"bot": bot, "sampling": Jsonb(t.sampling), "scores": Jsonb(t.scores), "broken": Jsonb(t.broken)}
                for t in tweets
            ],
        )
        return cursor.rowcount


def count_states(connection: Connection, bot: str) -> dict[str, int]:
    """How many tweets the bot has in each of STATES."""
    rows = connection.execute("SELECT state, count(*) FROM tweets WHERE bot = %s GROUP BY state", [bot])
    return dict.fromkeys(STATES, 0) | dict(rows.fetchall())


def get_tweet(connection: Connection, bot: str, id: int) -> Tweet | None:
    """One tweet of the bot by its id."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute("SELECT * FROM tweets WHERE bot = %s AND id = %s", [bot, id]).fetchone()


def known_texts(connection: Connection, bot: str, texts: list[str]) -> set[str]:
    """Those of `texts` that the bot has already, in whatever state, whatever their white space."""
    rows = connection.execute(
        """
        SELECT text FROM unnest(%s::text[]) AS asked (text)
        WHERE EXISTS (SELECT FROM tweets WHERE bot = %s AND text_key = text_key(asked.text))
        """,
        [texts, bot],
    )
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
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            """
            SELECT * FROM tweets WHERE bot = %s AND model = %s AND state <> 'rejected'
            ORDER BY score DESC NULLS LAST, id LIMIT %s
            """,
            [bot, model, limit],
        ).fetchall()


def decide(
    connection: Connection, bot: str, id: int, state: str, reason: str | None = None, revision: int | None = None
) -> bool:
    """Approve, reject or put back one tweet; False where the bot has no such tweet in a state that allows it.

    To approve an unknown or refused one is to say that it was not posted and may be tried again. `revision` is the one
    that the decision is about: raises Stale where another was made since. Raises MynahError where an older tweet has
    the same text but for white space.
    """
    decided = connection.execute(
        """
        UPDATE tweets
        SET state = %(state)s, judgement = %(state)s, reason = %(reason)s, decided_at = now(), claimed_at = NULL
        WHERE bot = %(bot)s AND id = %(id)s AND state IN ('candidate', 'approved', 'rejected', 'unknown')
          AND NOT (state = 'unknown' AND %(state)s = 'candidate')
          AND (%(revision)s::integer IS NULL OR revision = %(revision)s)
        RETURNING state, reason
        """,
        {"bot": bot, "id": id, "state": state, "reason": reason, "revision": revision},
    ).fetchone()
    if decided is None:
        _refuse_stale(connection, bot, id, revision)
    elif decided[0] != state:
        raise MynahError(f"tweet {id} cannot be {state}: {decided[1]}")
    return decided is not None


def decide_many(
    connection: Connection, bot: str, seen: Sequence[tuple[int, int]], state: str, reason: str | None = None
) -> set[int]:
    """Decide as `decide` does about tweets of which the id and the revision were seen. Returns which were decided."""
    rows = connection.execute(
        """
        UPDATE tweets
        SET state = %(state)s, judgement = %(state)s, reason = %(reason)s, decided_at = now(), claimed_at = NULL
        FROM unnest(%(ids)s::bigint[], %(revisions)s::integer[]) AS seen (id, revision)
        WHERE bot = %(bot)s AND tweets.id = seen.id AND tweets.revision = seen.revision
          AND state IN ('candidate', 'approved', 'rejected', 'unknown')
          AND NOT (state = 'unknown' AND %(state)s = 'candidate')
        RETURNING tweets.id
        """,
        {
            "bot": bot,
            "state": state,
            "reason": reason,
            "ids": [id for id, _ in seen],
            "revisions": [revision for _, revision in seen],
        },
    )
    return {id for (id,) in rows}


def edit(connection: Connection, bot: str, id: int, text: str, revision: int | None = None) -> bool:
    """Replace the text of one tweet that is not yet on its way; False where there is none such.

    Raises psycopg.errors.UniqueViolation where the bot has that text already, whatever its white space, and Stale as
    `decide` does.
    """
    edited = connection.execute(
        """
        UPDATE tweets SET text = %(text)s
        WHERE bot = %(bot)s AND id = %(id)s AND state IN ('candidate', 'approved', 'rejected')
          AND (%(revision)s::integer IS NULL OR revision = %(revision)s)
        """,
        {"bot": bot, "id": id, "text": text, "revision": revision},
    ).rowcount
    if not edited:
        _refuse_stale(connection, bot, id, revision)
    return edited == 1


def _refuse_stale(connection: Connection, bot: str, id: int, revision: int | None) -> None:
    tweet = get_tweet(connection, bot, id) if revision is not None else None
    if tweet and tweet.revision != revision:
        raise Stale(tweet, next(reversed(decisions(connection, bot, id)), None))


def models_named(connection: Connection, bot: str) -> dict[str, int]:
    """The models that wrote the bot's texts, whatever became of these, and how many each wrote."""
    return dict(
        connection.execute(
            "SELECT model, count(*) FROM tweets WHERE bot = %s AND model IS NOT NULL GROUP BY model", [bot]
        ).fetchall()
    )
