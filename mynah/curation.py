"""A person decides what the bot may say: list, approve, reject, put back and edit tweets, see who decided what."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from mynah import ranking
from mynah.bot import Bot
from mynah.database import decisions, queue, tweets
from mynah.database.connection import Connection
from mynah.database.decisions import Decision
from mynah.database.queue import Filter
from mynah.database.tweets import Tweet
from mynah.errors import MynahError, UsageError
from mynah.rules import may_post
from mynah.tweet import weight

NAMED = 20  # tweets that are named one by one
NO_REASON = "a person said no"  # why a tweet was rejected, where nobody says more


@dataclass(frozen=True)
class Listing:
    """Tweets in one state."""

    state: str
    tweets: list[Tweet]
    counts: dict[str, int]
    none: str
    """To say where there are none."""

    def summary(self) -> str:
        if not self.tweets:
            return f"{self.none}; there are: " + ", ".join(f"{n} {s}" for s, n in self.counts.items())
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
    left: list[str] = field(default_factory=list)
    """Those that fitted a filter and were not decided on: a line each."""

    def summary(self) -> str:
        ids = ", ".join(map(str, self.ids)) if len(self.ids) <= NAMED else f"{len(self.ids)} texts"
        return "\n".join([f"{self.verb}: {ids or 'none'}", *self.left])


@dataclass(frozen=True)
class History:
    """What was decided about one tweet, the oldest first, and how it stands."""

    tweet: Tweet
    decisions: list[Decision]

    def summary(self) -> str:
        tweet = self.tweet
        lines = [f"{tweet.created_at:%Y-%m-%d %H:%M}  written by {tweet.model or 'a person'}: {tweet.written}"]
        for each in self.decisions:
            edited = f": {each.new_text}" if each.old_text not in (None, each.new_text) else ""
            lines.append(f"{each.at:%Y-%m-%d %H:%M}  {each}{edited}")
        lines.append(f"now revision {tweet.revision}, {tweet.state}" + (f" ({tweet.reason})" if tweet.reason else ""))
        return "\n".join(lines)


def list_tweets(bot: Bot, connection: Connection, wanted: Filter, limit: int) -> Listing:
    """The bot's tweets that fit, the best first, at most `limit`."""
    if wanted.state == "candidate":
        ranking.refresh(connection, bot.name)
    found = queue.find(connection, bot.name, wanted, limit)
    none = f"no tweet is {wanted.state}" if wanted == Filter(wanted.state) else f"no {wanted.state} tweet fits"
    return Listing(wanted.state, found, tweets.count_states(connection, bot.name), none)


def history(bot: Bot, connection: Connection, id: int) -> History:
    """Who decided what about a tweet. Raises MynahError where there is none."""
    return History(_get(bot, connection, id), decisions.decisions(connection, bot.name, id))


def decide(
    bot: Bot, connection: Connection, ids: Sequence[int], state: str, reason: str | None, revision: int | None = None
) -> Decided:
    """Approve, reject or put back (`state` candidate) tweets, all or none of them.

    `revision` is the one that the person saw. Raises MynahError where a tweet does not exist, is at another revision,
    is on its way, or may not be posted as it stands.
    """
    with connection.transaction():
        for id in ids:
            tweet = _get(bot, connection, id)
            if state == "approved":
                _must_fit(bot, id, tweet.text)
            if revision in (None, tweet.revision) and tweet.state == tweet.judgement == state:
                continue
            # What was checked is what is approved: not a text that somebody writes meanwhile.
            seen = tweet.revision if revision is None else revision
            if not tweets.decide(connection, bot.name, id, state, reason, seen):
                raise MynahError(too_late(bot, _get(bot, connection, id)))
    return Decided(state, list(ids))


def decide_found(bot: Bot, connection: Connection, found: Sequence[Tweet], state: str, reason: str | None) -> Decided:
    """Decide as `decide` does about tweets that were read before, at the revisions that they had then.

    One that may not be approved, or about which somebody decided meanwhile, is left and named.
    """
    left: list[str] = []
    fit = []
    for tweet in found:
        if tweet.state == tweet.judgement == state:
            continue
        if state == "approved" and (rejection := may_post(tweet.text, bot.judge)):
            left.append(f"left: tweet {tweet.id} cannot be posted: {rejection.words}")
        else:
            fit.append(tweet)
    done = tweets.decide_many(connection, bot.name, [(tweet.id, tweet.revision) for tweet in fit], state, reason)
    left += [f"left: tweet {tweet.id} was changed meanwhile" for tweet in fit if tweet.id not in done]
    return Decided(state, sorted(done), left)


def edit(bot: Bot, connection: Connection, id: int, text: str, revision: int | None = None) -> Decided:
    """Replace a tweet's text.

    Raises MynahError as `decide` does, and where the bot has that text already, whatever its white space.
    """
    _get(bot, connection, id)
    _must_fit(bot, id, text)
    try:
        if not tweets.edit(connection, bot.name, id, text, revision):
            raise MynahError(too_late(bot, _get(bot, connection, id)))
    except psycopg.errors.UniqueViolation:
        raise MynahError(
            f"tweet {id} cannot have that text: another tweet of {bot.name} has it already, but for white space"
        ) from None
    return Decided("edited", [id])


def _get(bot: Bot, connection: Connection, id: int) -> Tweet:
    tweet = tweets.get_tweet(connection, bot.name, id)
    if tweet is None:
        raise MynahError(f"bot {bot.name} has no tweet {id}: see `mynah curate {bot.name}`")
    return tweet


def _must_fit(bot: Bot, id: int, text: str) -> None:
    if rejection := may_post(text, bot.judge):
        raise UsageError(
            f"tweet {id} cannot be posted: {rejection.words}; mend it with `mynah curate {bot.name} edit {id} TEXT`"
        )


def too_late(bot: Bot, tweet: Tweet) -> str:
    """Why a tweet in this state takes no such decision, and what to do instead."""
    match tweet.state:
        case "posting":
            return f"tweet {tweet.id} is being posted: `mynah post {bot.name}` finds out what became of it"
        case "posted":
            return f"tweet {tweet.id} is posted ({tweet.post_url}): too late for that"
        case "unknown":
            return (
                f"nobody knows whether tweet {tweet.id} was posted: look, then approve it if it was not, to have it "
                "posted, or reject it"
            )
    return f"tweet {tweet.id} is {tweet.state} now: try again"


def briefly(error: MynahError) -> str:
    """What an error of deciding says, without what to do about it at a command line: for pages."""
    return str(error).removesuffix(": look at it again").partition("; mend it")[0]
