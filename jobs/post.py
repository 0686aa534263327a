"""Post one random approved text, and never one twice, whatever is killed when.

A tweet goes approved → posting → posted. Only one poster of a bot works at a time, so a tweet that a
poster finds in `posting` was left by one that was killed: the account itself then tells whether it was posted.
"""

import random
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TypeAlias, assert_never
from zoneinfo import ZoneInfo

import psycopg
from cronsim import CronSim

from mynah import database
from mynah.bot import Bot
from mynah.database import Tweet
from mynah.errors import MynahError
from mynah.tweet import problem, urls, weight

# A claim younger than this belongs to the run that this one repeats (a Job starts a failed pod again within
# seconds to minutes): one text is posted by both together.
SAME_RUN = timedelta(minutes=10)
ASK_UNKNOWN_FOR = timedelta(days=1)  # how long the account is asked again whether an `unknown` tweet was posted
EARLY = timedelta(seconds=10)  # how far this clock may be behind the one that started a scheduled run
LOOKS = 2  # how often to look for a post of whose fate the account said nothing


@dataclass(frozen=True)
class Post:
    """A post as the account knows it."""

    id: str
    url: str


@dataclass(frozen=True)
class Posted:
    """The text was posted."""

    post: Post


@dataclass(frozen=True)
class Duplicate:
    """The account says that it has this text already."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The account takes anything but this text: it was not posted and never will be."""

    reason: str


@dataclass(frozen=True)
class Unavailable:
    """The account takes nothing now, through no fault of the text: it was not posted."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class Unknown:
    """The request may have arrived: nobody knows whether the text was posted."""

    reason: str


Outcome: TypeAlias = Posted | Duplicate | Refused | Unavailable | Unknown


class Account(Protocol):
    """Where a bot posts."""

    @property
    def name(self) -> str:
        """What people call it, to stand after `posted to`."""

    @property
    def settle(self) -> timedelta:
        """How long after an attempt a post that `find` does not find surely does not exist."""

    def post(self, tweet: Tweet) -> Outcome: ...

    def find(self, tweet: Tweet) -> Post | None:
        """The account's own post of this tweet's text. Raises MynahError where it cannot be told."""


@dataclass(frozen=True)
class Result:
    """What a poster did. `notes` are what it settled on the way, a line each."""

    bot: str
    account: str
    outcome: Literal["posted", "nothing", "waiting", "busy", "dry run"]
    message: str
    left: int
    tweet: int | None = None
    text: str | None = None
    post_id: str | None = None
    post_url: str | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        return self.message


def post(
    bot: Bot,
    connection: database.Connection,
    account: Account,
    *,
    slot: datetime | None = None,
    dry_run: bool = False,
    pause: float = 3.0,
) -> Result:
    """Settle what a killed poster left, then post one random approved text.

    With `slot`, the time of post.schedule that this run is for, only where that time has no post yet.
    `dry_run` shows what would be posted and changes nothing. `pause`: seconds before each look for a post whose
    fate is unknown. Raises MynahError where nothing could be posted, or where nobody knows; run again later.
    """
    if dry_run:
        return _dry_run(bot, connection, account)
    poster = _Poster(bot, connection, account, pause, slot)
    try:
        with database.poster_lock(connection, bot.name) as alone:
            return poster.run() if alone else poster.result("busy", f"another poster of {bot.name} is at work")
    except psycopg.OperationalError as error:
        why = " ".join(str(error).split())
        raise MynahError(f"Postgres went away ({why}): run again, which finds out what was posted") from None


class _Poster:
    """One run of a poster that has the lock."""

    def __init__(
        self,
        bot: Bot,
        connection: database.Connection,
        account: Account,
        pause: float = 0,
        slot: datetime | None = None,
    ) -> None:
        self.bot, self.connection, self.account, self.pause, self.slot = bot, connection, account, pause, slot
        self.notes: list[str] = []

    def run(self) -> Result:
        if settled := self.settle():
            return settled
        self.ask_about_unknown()
        if self.slot and (made := database.slot_tweet(self.connection, self.bot.name, self.slot)):
            due = f"{self.slot:%Y-%m-%d %H:%M %Z}"
            return self.result("nothing", f"the post of {due} is made already: tweet {made.id} is {made.state}", made)
        while tweet := database.claim(self.connection, self.bot.name, self.slot):
            if reason := unfit(self.bot, tweet.text):  # an edit, or a changed bot file, may have made it so
                database.release(self.connection, tweet.id, "rejected", reason)
                self.note(f"tweet {tweet.id} is rejected: {reason}")
                continue
            return self.post(tweet)
        return self.result("nothing", nothing_to_post(self.bot))

    def settle(self) -> Result | None:
        """Find out what became of tweets that a killed poster left; a result where that ends this run."""
        left = database.stale_claims(self.connection, self.bot.name, timedelta(0))
        settled = {t.id for t in database.stale_claims(self.connection, self.bot.name, self.account.settle)}
        earlier = {t.id for t in database.stale_claims(self.connection, self.bot.name, SAME_RUN)}
        ending = None
        for tweet in left:
            who = f"tweet {tweet.id}, left by a poster that was killed,"
            if found := self.account.find(tweet):
                recorded = self.record(tweet, found)
                if recorded.outcome == "posted":
                    self.note(f"{who} had been posted: {found.url}")
                    ending = ending if self.slot or tweet.id in earlier else recorded
            elif tweet.id in settled:
                database.release(self.connection, tweet.id, "approved", None)
                self.note(f"{who} had not been posted: approved again")
            else:
                minutes = self.account.settle.total_seconds() / 60
                ending = ending or self.result(
                    "waiting",
                    f"{who} may still appear on {self.account.name}: nothing new is posted until {minutes:.0f} minutes "
                    "after that attempt",
                    tweet,
                )
        return ending and replace(ending, notes=tuple(self.notes))

    def ask_about_unknown(self) -> None:
        """Look once more for tweets of whose fate nobody knew; where they do not show, a person decides."""
        for tweet in database.list_tweets(self.connection, self.bot.name, "unknown", 20):
            if tweet.claimed_at and datetime.now(UTC) - tweet.claimed_at < ASK_UNKNOWN_FOR:
                try:
                    found = self.account.find(tweet)
                except MynahError as error:
                    self.note(f"tweet {tweet.id} stays unknown: {error}")
                    return
                if found and self.record(tweet, found).outcome == "posted":
                    self.note(f"tweet {tweet.id}, unknown until now, had been posted: {found.url}")

    def post(self, tweet: Tweet) -> Result:
        found, state, hint = None, "rejected", "it is rejected; run again to post another"
        match outcome := self.account.post(tweet):
            case Posted(post):
                return self.record(tweet, post)
            case Unavailable(reason, until):
                state, hint = "approved", "it stays approved; run again later"
                reason += f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
            case Refused(reason):
                pass
            case Duplicate(reason):
                found = self.look(tweet)
            case Unknown(reason):
                state = "unknown"
                hint = f"nobody knows whether it was posted: look, then `mynah curate {self.bot.name}`"
                try:
                    found = self.look(tweet)
                except MynahError as error:
                    reason += f"; {error}"
            case _:
                assert_never(outcome)
        if found:
            return self.record(tweet, found)
        database.release(self.connection, tweet.id, state, None if state == "approved" else reason)
        raise MynahError(f"posting tweet {tweet.id} to {self.account.name}: {reason}; {hint}")

    def look(self, tweet: Tweet) -> Post | None:
        for _ in range(LOOKS):
            time.sleep(self.pause)
            if found := self.account.find(tweet):
                return found
        return None

    def record(self, tweet: Tweet, found: Post) -> Result:
        try:
            database.record_post(self.connection, tweet.id, found.id, found.url)
        except psycopg.errors.UniqueViolation:  # two bots share the account, and this text
            reason = f"{self.account.name} had this text already: {found.url}"
            database.release(self.connection, tweet.id, "rejected", reason)
            self.note(f"tweet {tweet.id} is rejected: {reason}")
            return self.result("nothing", f"nothing posted: {reason}", tweet)
        message = f"posted tweet {tweet.id} to {self.account.name}: {found.url}\n{tweet.text}"
        return self.result("posted", message, tweet, found)

    def note(self, line: str) -> None:
        self.notes.append(line)
        print(line, file=sys.stderr, flush=True)

    def result(
        self,
        outcome: Literal["posted", "nothing", "waiting", "busy", "dry run"],
        message: str,
        tweet: Tweet | None = None,
        found: Post | None = None,
    ) -> Result:
        return Result(
            bot=self.bot.name,
            account=self.account.name,
            outcome=outcome,
            message=message,
            left=database.count_states(self.connection, self.bot.name)["approved"],
            tweet=tweet.id if tweet else None,
            text=tweet.text if tweet else None,
            post_id=found.id if found else None,
            post_url=found.url if found else None,
            notes=tuple(self.notes),
        )


def unfit(bot: Bot, text: str) -> str | None:
    """Why the bot may not post this text, or None where it may."""
    if not bot.judge.allow_links and (links := urls(text)):
        return f"it contains a link ({links[0]}), and judge.allow_links is false"
    return problem(text, bot.judge.max_weight)


def last_due(bot: Bot, now: datetime) -> datetime:
    """The time of post.schedule that a run started by the clock at `now` (aware) is for."""
    zone = ZoneInfo(bot.post.time_zone)
    return next(CronSim(bot.post.schedule, (now + EARLY).astimezone(zone), reverse=True))


def nothing_to_post(bot: Bot) -> str:
    return f"nothing to post: no approved text; approve some with `mynah curate {bot.name}`"


def _dry_run(bot: Bot, connection: database.Connection, account: Account) -> Result:
    poster = _Poster(bot, connection, account)
    approved = database.list_tweets(connection, bot.name, "approved", 10_000)
    random.shuffle(approved)
    for tweet in approved:
        if reason := unfit(bot, tweet.text):
            poster.note(f"tweet {tweet.id} would be rejected: {reason}")
            continue
        heavy = f"weight {weight(tweet.text)} of {bot.judge.max_weight}"
        message = (
            f"would post a random one of {len(approved)} approved texts to {account.name}, such as tweet {tweet.id}"
        )
        return poster.result("dry run", f"{message} ({heavy}):\n{tweet.text}", tweet)
    return poster.result("nothing", nothing_to_post(bot))
