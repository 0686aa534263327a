"""Post one random approved text to an account, and never one twice, whatever is killed when.

The row of `posts` is claimed before the account is called, once, and settled by its answer. Only one poster of an
account works at a time, so a claimed row that a poster finds was left by one that was killed: it is in doubt, and
settled as all rows in doubt are (jobs/settle.py).
"""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

import psycopg
from cronsim import CronSim

from jobs.accounts import Account, Duplicate, Posted, Published, Refused, Unavailable, Unknown
from jobs.react import read_reactions
from jobs.read import budget_of
from jobs.settle import Doubts, Settled, give_back
from mynah.bot import Bot
from mynah.bot.post import Posting
from mynah.database import budget, posts, readings, slots
from mynah.database.budget import OverBudget
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.errors import MynahError
from mynah.rules import may_post
from mynah.tweet import weight

EARLY = timedelta(seconds=10)  # how far this clock may be behind the one that started a scheduled run
LOOKS = 2  # how often to look, at once, for a post of whose fate the account said nothing
# A claim younger than this belongs to the run that this one repeats: a person's one post is made by both together.
SAME_RUN = timedelta(minutes=10)

Done: TypeAlias = Literal["posted", "nothing", "missed", "busy", "dry run"]


@dataclass(frozen=True)
class Result:
    """What a poster did. `left`: approved texts for another time; `notes`: what it settled on the way, a line each."""

    bot: str
    account: str
    outcome: Done
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
    name: str,
    connection: Connection,
    account: Account,
    *,
    slot: datetime | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
    pause: float = 3.0,
    write: Callable[[], object] | None = None,
) -> Result:
    """Settle what nobody reported on, then post one random approved text to `account`, the bot's account `name`.

    With `slot`, the time of the account's schedule that this run is for, only where that time has no post yet, and it
    is not too late for it at `now`. `dry_run` shows what would be posted and changes nothing. `pause`: seconds before
    each look for a post whose fate is unknown. `write` adds an approved text, where an account that is `live` has none
    at its time. Raises MynahError where nothing could be posted, or where nobody knows; run again later.
    """
    poster = _Poster(bot, name, connection, account, pause, slot, now or datetime.now(UTC), write)
    if dry_run:
        with connection.transaction(force_rollback=True):
            return poster.show()
    try:
        with posts.poster_lock(connection, bot.name, name) as alone:
            at_work = f"another poster of {bot.name}{'' if name == 'main' else f' to {name}'} is at work"
            return poster.run() if alone else poster.result("busy", at_work)
    except psycopg.OperationalError as error:
        why = " ".join(str(error).split())
        raise MynahError(f"Postgres went away ({why}): run again, which finds out what was posted") from None


def last_due(section: Posting, now: datetime) -> datetime:
    """The time of the account's schedule that a run started by the clock at `now` (aware) is for."""
    zone = ZoneInfo(section.time_zone)
    return next(CronSim(section.schedule, (now + EARLY).astimezone(zone), reverse=True))


def wait(section: Posting) -> None:
    """Wait a random time between the account's jitter_minutes, and say so."""
    if seconds := 60 * random.uniform(*section.jitter_minutes):  # noqa: S311 — so that a bot looks less like a clock
        print(f"waiting {seconds:.0f} s (jitter_minutes)", file=sys.stderr, flush=True)
        time.sleep(seconds)


class _Poster:
    """One run."""

    def __init__(
        self,
        bot: Bot,
        name: str,
        connection: Connection,
        account: Account,
        pause: float,
        slot: datetime | None,
        now: datetime,
        write: Callable[[], object] | None,
    ) -> None:
        self.bot, self.name, self.connection, self.account = bot, name, connection, account
        self.pause, self.slot, self.now, self.write = pause, slot, now, write
        self.section = bot.accounts_by_name().get(name, bot.post)
        self.budget = budget_of(self.section)
        self.notes: list[str] = []
        self.doubts = Doubts(connection, account, bot.name, name, self.budget, self.note, pause)

    def run(self) -> Result:
        posts.abandoned(self.connection, self.bot.name, self.name)
        settled = self.doubts.settle()
        result = self.post(settled)
        read_today = readings.done_today(self.connection, self.bot.name, self.name, "reactions")
        if self.section.likes_days and not (read_today or settled.unread):
            read_reactions(self.bot.name, self.name, self.connection, self.account, self.section, self.note, self.pause)
        return replace(result, notes=tuple(self.notes))

    def post(self, settled: Settled) -> Result:
        if self.slot:
            if ending := self.not_now(self.slot):
                return ending
        else:
            for found, published in settled.posted:
                if found.slot is None and self.now - found.claimed_at < SAME_RUN:
                    return self.posted(found, published)
        try:
            row = self.claim("is rejected", self.slot)
            if row is None and self.slot and self.section.live and self.write:
                self.write()
                row = self.claim("is rejected", self.slot)
        except OverBudget as over:
            if self.slot:
                slots.miss(self.connection, self.bot.name, self.name, self.slot, str(over))
            return self.result("nothing", f"nothing is posted to {self.account.name}: {over}")
        return self.send(row) if row else self.nothing()

    def not_now(self, slot: datetime) -> Result | None:
        """What ends this run before it posts: this time has its post, or may have it; it is too late, or too early."""
        due = f"{slot:%Y-%m-%d %H:%M %Z}"
        for old in slots.miss_before(self.connection, self.bot.name, self.name, slot):
            self.note(f"missed the post of {old.slot.astimezone(slot.tzinfo):%Y-%m-%d %H:%M %Z}: {old.reason}")
        if made := posts.slot_post(self.connection, self.bot.name, self.name, slot):
            if made.state == "posted":
                return self.result("nothing", f"the post of {due} is made already: tweet {made.tweet_id}", made)
            raise MynahError(
                f"nobody knows yet whether the post of {due}, tweet {made.tweet_id}, is on {self.account.name} "
                f"({made.reason}); run again later, which finds out"
            )
        if self.now - slot > timedelta(minutes=self.section.late_minutes):
            late = f"it is more than {self.section.late_minutes:g} minutes late (late_minutes)"
            given_up = slots.miss(self.connection, self.bot.name, self.name, slot, late)
            why = f": {given_up.reason}" if given_up and given_up.tries else ""
            return self.result("missed", f"missed the post of {due}{why}; {late}")
        tried = slots.get(self.connection, self.bot.name, self.name, slot)
        if tried and tried.retry_at and tried.retry_at > datetime.now(UTC):
            times = "once" if tried.tries == 1 else f"{tried.tries} times"
            raise MynahError(
                f"posting to {self.account.name}: {tried.reason}; tried {times}, and again after "
                f"{tried.retry_at.astimezone(UTC):%H:%M:%S} UTC"
            )
        return None

    def show(self) -> Result:
        """A dry run, in a transaction that is rolled back."""
        count = self.left()
        try:
            row = self.claim("would be rejected", None)
        except OverBudget as over:
            return self.result("nothing", f"nothing would be posted to {self.account.name}: {over}")
        if row is None:
            return self.nothing()
        message = (
            f"would post a random one of {count} approved texts to {self.account.name}, such as tweet {row.tweet_id} "
            f"(weight {weight(row.text)} of {self.bot.judge.max_weight}):\n{row.text}"
        )
        return replace(self.result("dry run", message, row), left=count)

    def claim(self, verdict: str, slot: datetime | None) -> Post | None:
        """The next row that may be posted. Others are refused: an edit or a changed bot file may have made them so.

        Raises OverBudget.
        """
        while row := self.reserve(slot):
            rejection = may_post(row.text, self.bot.judge) or self.account.long(row.text)
            if rejection is None:
                return row
            posts.refuse(self.connection, row.id, rejection.reason)
            self.note(f"tweet {row.tweet_id} {verdict}: {rejection.words}")
        return None

    def reserve(self, slot: datetime | None) -> Post | None:
        """Claim any row, together with what the call will send and what it costs. Raises OverBudget."""
        with self.connection.transaction():
            budget.alone(self.connection, self.bot.name, self.name)
            used = budget.used(self.connection, self.bot.name, self.name)
            row = posts.claim(self.connection, self.bot.name, self.name, slot)
            if row is None:
                return None
            cost = self.account.cost(row.text)
            if over := used.exceeds(self.budget, cost, 1):
                raise OverBudget(over)
            record = self.account.record(row)
            posts.keep(self.connection, row.id, record, cost)
        return replace(row, record=record, cost=cost)

    def send(self, row: Post) -> Result:
        match outcome := self.account.post(row):
            case Posted(published):
                return self.record(row, published)
            case Unavailable(reason, until):
                said = reason + (f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else "")
                if give_back(self.connection, row, said, until):
                    raise self.failure(row, said, "it stays approved; run again later")
                raise self.failure(row, said, "it came to nothing too often, and is for a person; run again later")
            case Refused(reason):
                raise self.refused(row, reason)
            case Duplicate(reason) | Unknown(reason):
                posts.doubt(self.connection, row.id, reason)
                return self.look(row, reason, isinstance(outcome, Duplicate))
            case _:
                assert_never(outcome)

    def look(self, row: Post, reason: str, duplicate: bool) -> Result:
        """Look at once for a post that may have been made. What is not there yet may appear: it stays in doubt."""
        unread = None
        for _ in range(LOOKS):
            time.sleep(self.pause)
            if self.account.idempotent and not duplicate:
                again = self.account.post(row)
                if isinstance(again, Posted):
                    return self.record(row, again.published)
                continue
            settled = self.doubts.settle()
            unread = settled.unread
            if found := next((found for other, found in settled.posted if other.id == row.id), None):
                return self.posted(row, found)
            if refused := settled.refused.get(row.id):
                return self.result("nothing", f"nothing posted: {refused}", row)
        if duplicate and not unread:
            raise self.refused(row, reason)
        reason += f"; {unread}" if unread else ""
        raise self.failure(row, reason, "nobody knows whether it was posted; a later run finds out")

    def refused(self, row: Post, reason: str) -> MynahError:
        posts.refuse(self.connection, row.id, reason)
        return self.failure(row, reason, "it is rejected; run again to post another")

    def record(self, row: Post, found: Published) -> Result:
        if refused := self.doubts.record(row, found):
            return self.result("nothing", f"nothing posted: {refused}", row)
        return self.posted(row, found)

    def posted(self, row: Post, found: Published) -> Result:
        message = f"posted tweet {row.tweet_id} to {self.account.name}: {found.url}\n{row.text}"
        return self.result("posted", message, row, found)

    def nothing(self) -> Result:
        return self.result(
            "nothing", f"nothing to post: no approved text; approve some with `mynah curate {self.bot.name}`"
        )

    def failure(self, row: Post, reason: str, then: str) -> MynahError:
        return MynahError(f"posting tweet {row.tweet_id} to {self.account.name}: {reason}; {then}")

    def note(self, line: str) -> None:
        if line in self.notes:
            return
        self.notes.append(line)
        print(line, file=sys.stderr, flush=True)

    def left(self) -> int:
        return posts.count_claimable(self.connection, self.bot.name, self.name)

    def result(self, outcome: Done, message: str, row: Post | None = None, found: Published | None = None) -> Result:
        return Result(
            bot=self.bot.name,
            account=self.name,
            outcome=outcome,
            message=message,
            left=self.left(),
            tweet=row.tweet_id if row else None,
            text=row.text if row else None,
            post_id=found.id if found else None,
            post_url=found.url if found else None,
            notes=tuple(self.notes),
        )
