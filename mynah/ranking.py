"""Candidates in the order in which this bot's curators are likely to approve them.

What they decided is learned anew where it is asked for and there are new decisions, in a second or two; nothing is kept
of it but the scores of the candidates, and how good it is. Without enough decisions the judge's own scores stand.
"""

from mynah.database import rankings
from mynah.database.connection import Connection
from mynah.liking import NEWEST, Liking, learn

AGAIN = 10  # new decisions, after which it is learned anew
RANKED = 10_000  # candidates, the newest, at the most


def liking(connection: Connection, bot: str) -> Liking | None:
    """What the bot's curators like by now; None where they decided too little. How good it is, is kept."""
    found = rankings.decided(connection, bot, NEWEST)
    learned = learn([text for _, text, _ in found], [approved for *_, approved in found])
    if learned:
        rankings.learned(connection, bot, found[-1][0], learned.approved, learned.rejected, learned.auc)
    return learned


def refresh(connection: Connection, bot: str) -> None:
    """Rank the bot's candidates anew, where people made AGAIN decisions since that was done."""
    before = rankings.ranking(connection, bot)
    if rankings.new_decisions(connection, bot, before.decision_id if before else 0, AGAIN) < AGAIN:
        return
    if learned := liking(connection, bot):
        rank(connection, bot, learned)


def rank(connection: Connection, bot: str, learned: Liking) -> None:
    """Give the bot's candidates their scores."""
    found = rankings.candidates(connection, bot, RANKED)
    rankings.rescore(connection, [id for id, _ in found], learned.scores([text for _, text in found]))
