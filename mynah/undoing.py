"""Taking decisions back: as many as a person made, whenever. What is taken back stays in the history."""

from collections.abc import Collection
from dataclasses import dataclass

import psycopg

from mynah.bot import Bot
from mynah.curation import too_late
from mynah.database import tweets
from mynah.database.connection import Connection, rows_of
from mynah.database.decisions import Decision
from mynah.database.tweets import Stale, Tweet
from mynah.errors import MynahError

_ROW = rows_of(Decision)
_STANDS = """
    NOT EXISTS (SELECT FROM undos WHERE undoes = d.id) AND NOT EXISTS (SELECT FROM undos WHERE undos.id = d.id)
"""


@dataclass(frozen=True)
class Undone:
    """Decisions that were taken back, the last first, and the tweets as they are then."""

    decisions: list[Decision]
    tweets: list[Tweet]

    def summary(self) -> str:
        if not self.decisions:
            return "nothing to undo: you have decided nothing, or have taken all of it back"
        return "\n".join(
            f"tweet {tweet.id}, {decision} on {decision.at:%Y-%m-%d %H:%M}, is {tweet.state} again: {tweet.text}"
            for decision, tweet in zip(self.decisions, self.tweets, strict=True)
        )


def last_own(
    connection: Connection, bot: str, beside: Collection[int] = (), tweet: int | None = None
) -> Decision | None:
    """What the person at work decided last and has not taken back; of one tweet where it is named."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"""
            SELECT * FROM decisions AS d
            WHERE bot = %(bot)s AND who = mynah_user() AND id <> ALL(%(beside)s::bigint[])
              AND tweet_id = coalesce(%(tweet)s, tweet_id) AND {_STANDS}
            ORDER BY id DESC LIMIT 1
            """,  # noqa: S608
            {"bot": bot, "beside": list(beside), "tweet": tweet},
        ).fetchone()


def undo_last(bot: Bot, connection: Connection, number: int = 1) -> Undone:
    """Take back the last `number` decisions of the person at work, all or none. Raises MynahError as `undo` does."""
    found = Undone([], [])
    with connection.transaction():
        while len(found.decisions) < number and (decision := last_own(connection, bot.name)):
            found.tweets.append(undo(bot, connection, decision))
            found.decisions.append(decision)
    return found


def undo_of(bot: Bot, connection: Connection, ids: Collection[int]) -> Undone:
    """Take back what the person at work decided last about each of these tweets, all or none."""
    found = Undone([], [])
    with connection.transaction():
        for id in ids:
            decision = last_own(connection, bot.name, tweet=id)
            if decision is None:
                raise MynahError(f"you decided nothing about tweet {id}: see `mynah curate {bot.name} history {id}`")
            found.tweets.append(undo(bot, connection, decision))
            found.decisions.append(decision)
    return found


def undo(bot: Bot, connection: Connection, decision: Decision) -> Tweet:
    """Bring a tweet back to what it was before the decision; returns it.

    Raises Stale where somebody decided about it since, and MynahError where it is on its way or posted, or another has
    its old text by now.
    """
    with connection.transaction():
        connection.execute("SELECT FROM tweets WHERE id = %s FOR UPDATE", [decision.tweet_id])
        tweet = tweets.get_tweet(connection, bot.name, decision.tweet_id)
        if tweet is None:
            raise MynahError(f"tweet {decision.tweet_id} is gone")
        last = _last_standing(connection, bot, tweet)
        if last is None or last.id < decision.id:
            raise MynahError(f"that tweet {tweet.id} was {decision} is undone already")
        if last.id > decision.id:
            raise Stale(tweet, last)
        if tweet.state in ("posting", "posted", "unknown"):
            raise MynahError(too_late(bot, tweet))
        _restore(connection, bot, tweet, decision)
        back = tweets.get_tweet(connection, bot.name, tweet.id)
        assert back  # noqa: S101 — it is locked
    return back


def _last_standing(connection: Connection, bot: Bot, tweet: Tweet) -> Decision | None:
    """The last decision about a tweet that was not taken back, whoever made it."""
    with connection.cursor(row_factory=_ROW) as cursor:
        return cursor.execute(
            f"SELECT * FROM decisions AS d WHERE bot = %s AND tweet_id = %s AND {_STANDS} ORDER BY id DESC LIMIT 1",  # noqa: S608
            [bot.name, tweet.id],
        ).fetchone()


def _restore(connection: Connection, bot: Bot, tweet: Tweet, decision: Decision) -> None:
    text, judgement = decision.old_text or decision.new_text, decision.old_judgement or "candidate"
    before = _newest(connection, tweet)
    if (text, judgement) != (tweet.text, tweet.judgement) or judgement != tweet.state:
        reason = _reason(connection, bot, decision) if judgement == "rejected" else None
        try:
            connection.execute(
                """
                UPDATE tweets SET text = %s, state = %s, judgement = %s, reason = %s, decided_at = now(),
                    claimed_at = NULL
                WHERE id = %s
                """,
                [text, judgement, judgement, reason, tweet.id],
            )
        except psycopg.errors.UniqueViolation:
            raise MynahError(
                f"tweet {tweet.id} cannot have its old text again: another tweet of {bot.name} has it by now"
            ) from None
    connection.execute(
        """
        INSERT INTO undos (undoes, id)
        SELECT %(undoes)s, (SELECT max(id) FROM decisions WHERE bot = %(bot)s AND tweet_id = %(tweet)s AND id > %(id)s)
        """,
        {"undoes": decision.id, "bot": bot.name, "tweet": tweet.id, "id": before},
    )


def _newest(connection: Connection, tweet: Tweet) -> int:
    row = connection.execute(
        "SELECT max(id) FROM decisions WHERE bot = %s AND tweet_id = %s", [tweet.bot, tweet.id]
    ).fetchone()
    return int(row[0]) if row else 0


def _reason(connection: Connection, bot: Bot, decision: Decision) -> str:
    """Why the tweet was rejected, before the decision."""
    row = connection.execute(
        """
        SELECT why FROM decisions
        WHERE bot = %s AND tweet_id = %s AND id < %s AND new_judgement = 'rejected' AND why IS NOT NULL
        ORDER BY id DESC LIMIT 1
        """,
        [bot.name, decision.tweet_id, decision.id],
    ).fetchone()
    return str(row[0]) if row else "rejected before"
