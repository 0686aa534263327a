"""A person decides what the bot may say: list, approve, reject and edit tweets."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from mynah import database
from mynah.bot import Bot
from mynah.errors import MynahError, UsageError
from mynah.tweet import problem, weight


@dataclass(frozen=True)
class Listing:
    """Tweets in one state."""

    state: str
    tweets: list[database.Tweet]
    counts: dict[str, int]

    def summary(self) -> str:
        if not self.tweets:
            return f"no tweet is {self.state}; there are: " + ", ".join(f"{n} {s}" for s, n in self.counts.items())
        lines = [f"{'id':>6}  score  weight  text"]
        for tweet in self.tweets:
            score = "    -" if tweet.score is None else f"{tweet.score:5.2f}"
            note = f"  [{tweet.reason}]" if tweet.reason else ""
            lines.append(f"{tweet.id:>6}  {score}  {weight(tweet.text):>6}  {tweet.text}{note}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Decided:
    """Tweets that a person decided on."""

    verb: str
    ids: list[int]

    def summary(self) -> str:
        return f"{self.verb}: {', '.join(map(str, self.ids))}"


def list_state(bot: Bot, connection: database.Connection, state: str, limit: int) -> Listing:
    """Show the bot's tweets in `state`, the best first, at most `limit`."""
    tweets = database.list_tweets(connection, bot.name, state, limit)
    return Listing(state, tweets, database.count_states(connection, bot.name))


def decide(bot: Bot, connection: database.Connection, ids: Sequence[int], state: str, reason: str | None) -> Decided:
    """Approve, reject or put back tweets, all or none of them.

    Raises MynahError where one does not exist, is on its way, or may not be posted as it stands.
    """
    with connection.transaction():
        for id in ids:
            tweet = database.get_tweet(connection, bot.name, id)
            if tweet is None:
                raise MynahError(f"bot {bot.name} has no tweet {id}: see `mynah curate {bot.name}`")
            if state == "approved":
                _must_fit(bot, tweet.id, tweet.text)
            if tweet.state != state and not database.decide(connection, bot.name, id, state, reason):
                raise MynahError(f"tweet {id} is {tweet.state}: too late for that")
    return Decided(state, list(ids))


def edit(bot: Bot, connection: database.Connection, id: int, text: str) -> Decided:
    """Replace a tweet's text. Raises MynahError where it is on its way, or the bot has that text already."""
    _must_fit(bot, id, text)
    try:
        if not database.edit(connection, bot.name, id, text):
            raise MynahError(f"bot {bot.name} has no tweet {id} that can still be edited")
    except psycopg.errors.UniqueViolation:
        raise MynahError(f"tweet {id}: bot {bot.name} has this very text already") from None
    return Decided("edited", [id])


def _must_fit(bot: Bot, id: int, text: str) -> None:
    if wrong := problem(text, bot.judge.max_weight):
        raise UsageError(f"tweet {id} cannot be posted: {wrong}; mend it with `mynah curate {bot.name} edit {id} TEXT`")
