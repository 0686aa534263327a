"""Candidates in the order in which this bot's curators are likely to approve them.

What they decided is learned anew where it is asked for and there are new decisions, in a second or two; nothing is kept
of it but the scores of the candidates, and how good it is. Without enough decisions the judge's own scores stand.
"""

from collections.abc import Sequence

from mynah.database import rankings
from mynah.database.connection import Connection
from mynah.liking import NEWEST, Liking, learn

AGAIN = 10  # new decisions, after which it is learned anew
RANKED = 10_000  # candidates, the newest, at the most


def liking(connection: Connection, bot: str) -> Liking | None:
    """What the bot's curators like by now; None where they decided too little."""
    return _learned(rankings.decided(connection, bot, NEWEST))


def refresh(connection: Connection, bot: str) -> None:
    """Rank the bot's candidates anew, where people made AGAIN decisions since that was done; keep how good it is."""
    before = rankings.ranking(connection, bot)
    if rankings.new_decisions(connection, bot, before.decision_id if before else 0, AGAIN) < AGAIN:
        return
    decided = rankings.decided(connection, bot, NEWEST)
    if learned := _learned(decided):
        found = rankings.candidates(connection, bot, RANKED)
        rankings.rescore(connection, [id for id, _ in found], learned.scores([text for _, text in found]))
        rankings.learned(connection, bot, decided[-1][0], learned.approved, learned.rejected, learned.auc)


def _learned(decided: Sequence[tuple[int, str, bool]]) -> Liking | None:
    return learn([text for _, text, _ in decided], [approved for *_, approved in decided])
