"""The rankings table: what was last learned of a bot's curators; and the scores of its candidates, which are by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mynah.database.connection import Connection, rows_of

# The judge's own decisions, those of rules, and those of a migration teach nothing.
_BY_PEOPLE = "bot = %(bot)s AND who <> 'judge' AND who NOT LIKE 'judge.%%' AND who NOT LIKE 'migration %%'"


@dataclass(frozen=True)
class Ranking:
    """A row of `rankings`."""

    bot: str
    decision_id: int
    approved: int
    rejected: int
    auc: float | None
    learned_at: datetime


def ranking(connection: Connection, bot: str) -> Ranking | None:
    """What was last learned; None where nothing was."""
    with connection.cursor(row_factory=rows_of(Ranking)) as cursor:
        return cursor.execute("SELECT * FROM rankings WHERE bot = %s", [bot]).fetchone()


def new_decisions(connection: Connection, bot: str, after: int, most: int) -> int:
    """How many decisions people made after the one with this id, counted up to `most`."""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM decisions WHERE {_BY_PEOPLE} AND id > %(after)s LIMIT %(most)s) AS _",  # noqa: S608
        {"bot": bot, "after": after, "most": most},
    ).fetchone()
    return int(row[0]) if row else 0


def decided(connection: Connection, bot: str, most: int) -> list[tuple[int, str, bool]]:
    """The newest `most` texts that people approved or rejected: the decision's id, the text, whether it was approved.

    Of several decisions about a tweet the last one counts; one that put it back leaves none. The newest come last.
    """
    return connection.execute(
        f"""
        SELECT id, new_text, new_judgement = 'approved' FROM (
            SELECT DISTINCT ON (tweet_id) * FROM decisions WHERE {_BY_PEOPLE} ORDER BY tweet_id, id DESC
        ) AS last
        WHERE new_judgement <> 'candidate' ORDER BY id DESC LIMIT %(most)s
        """,  # noqa: S608 — nothing in it comes from outside
        {"bot": bot, "most": most},
    ).fetchall()[::-1]


def learned(connection: Connection, bot: str, decision_id: int, approved: int, rejected: int, auc: float) -> None:
    """Keep what was learned, up to this decision."""
    connection.execute(
        """
        INSERT INTO rankings (bot, decision_id, approved, rejected, auc) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (bot) DO UPDATE SET decision_id = EXCLUDED.decision_id, approved = EXCLUDED.approved,
            rejected = EXCLUDED.rejected, auc = EXCLUDED.auc, learned_at = clock_timestamp()
        """,
        [bot, decision_id, approved, rejected, auc],
    )


def candidates(connection: Connection, bot: str, most: int) -> list[tuple[int, str]]:
    """The bot's newest candidates: id and text."""
    return connection.execute(
        "SELECT id, text FROM tweets WHERE bot = %s AND state = 'candidate' ORDER BY id DESC LIMIT %s", [bot, most]
    ).fetchall()


def rescore(connection: Connection, ids: Sequence[int], scores: Sequence[float]) -> None:
    """Give candidates new scores, by which they are ranked. The judge's own stays among the parts, as `judged`."""
    connection.execute(
        """
        UPDATE tweets SET score = new.score,
            scores = jsonb_build_object('judged', tweets.score) || scores || jsonb_build_object('liked', new.score)
        FROM unnest(%s::bigint[], %s::double precision[]) AS new (id, score)
        WHERE tweets.id = new.id AND state = 'candidate' AND tweets.score IS DISTINCT FROM new.score
        """,
        [list(ids), list(scores)],
    )
