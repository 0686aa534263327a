"""Post one random approved text to an account, and never one twice, whatever is killed when.

The row of `posts` is claimed before the account is asked, and settled by its answer. Only one poster of an account
works at a time, so a claimed row that a poster finds was left by one that was killed: see jobs/settle.py.
"""

import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

import psycopg
from cronsim import CronSim

from jobs.accounts import Account, Duplicate, Posted, Published, Refused, Unavailable, Unknown
from jobs.settle import find, record, settle_claimed, settle_unknown
from mynah.bot import Bot
from mynah.bot.post import Posting
from mynah.database import posts
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.errors import MynahError
from mynah.rules import may_post
from mynah.tweet import weight

EARLY = timedelta(seconds=10)  # how far this clock may be behind the one that started a scheduled run
LOOKS = 2  # how often to look for a post of whose fate the account said nothing

Done: TypeAlias = Literal["posted", "nothing", "waiting", "busy", "dry run"]


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
    dry_run: bool = False,
    pause: float = 3.0,
) -> Result:
    """Settle what nobody reported on, then post one random approved text to `account`, the bot's account `name`.

    With `slot`, the time of the account's schedule that this run is for, only where that time has no post yet.
    `dry_run` shows what would be posted and changes nothing. `pause`: seconds before each look for a post whose
    fate is unknown. Raises MynahError where nothing could be posted, or where nobody knows; run again later.
    """
    poster = _Poster(bot, name, connection, account, pause, slot)
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


class _Poster:
    """One run."""

    def __init__(
        self, bot: Bot, name: str, connection: Connection, account: Account, pause: float, slot: datetime | None
    ) -> None:
        self.bot, self.name, self.connection, self.account = bot, name, connection, account
        self.pause, self.slot = pause, slot
        self.notes: list[str] = []

    def run(self) -> Result:
        if ending := self.settle():
            return ending
        settle_unknown(self.connection, self.account, self.bot.name, self.name, self.note)
        if self.slot and (made := posts.slot_post(self.connection, self.bot.name, self.name, self.slot)):
            due = f"{self.slot:%Y-%m-%d %H:%M %Z}"
            message = f"the post of {due} is made already: tweet {made.tweet_id} is {made.state}"
            return self.result("nothing", message, made)
        row = self.claim("is rejected", self.slot)
        return self.send(row) if row else self.nothing()

    def show(self) -> Result:
        """A dry run, in a transaction that is rolled back."""
        count = self.left()
        row = self.claim("would be rejected", None)
        if row is None:
            return self.nothing()
        message = (
            f"would post a random one of {count} approved texts to {self.account.name}, such as tweet {row.tweet_id} "
            f"(weight {weight(row.text)} of {self.bot.judge.max_weight}):\n{row.text}"
        )
        return replace(self.result("dry run", message, row), left=count)

    def settle(self) -> Result | None:
        """Settle what killed posters left; a result where that ends this run."""
        settled = settle_claimed(self.connection, self.account, self.bot.name, self.name, self.note)
        if settled.posted and not self.slot:
            return self.posted(*settled.posted)
        if row := settled.waiting:
            minutes = self.account.settle.total_seconds() / 60
            return self.result(
                "waiting",
                f"tweet {row.tweet_id}, left by a poster that was killed, may still appear on {self.account.name}: "
                f"nothing new is posted until {minutes:.0f} minutes after that attempt",
                row,
            )
        return None

    def claim(self, verdict: str, slot: datetime | None) -> Post | None:
        """The next row that may be posted. Others are refused: an edit or a changed bot file may have made them so."""
        while row := self.claim_any(slot):
            rejection = may_post(row.text, self.bot.judge) or self.account.long(row.text)
            if rejection is None:
                return row
            posts.refuse(self.connection, row.id, rejection.reason)
            self.note(f"tweet {row.tweet_id} {verdict}: {rejection.words}")
        return None

    def claim_any(self, slot: datetime | None) -> Post | None:
        """The claim is committed with what the call will send."""
        with self.connection.transaction():
            row = posts.claim(self.connection, self.bot.name, self.name, slot)
            record = self.account.record(row) if row else None
            if row and record is not None:
                posts.keep(self.connection, row.id, record)
        return replace(row, record=record) if row else None

    def send(self, row: Post) -> Result:
        found = None
        match outcome := self.account.post(row):
            case Posted(published):
                return self.record(row, published)
            case Unavailable(reason, until):
                reason += f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
                posts.give_back(self.connection, row.id, reason)
                raise self.failure(row, reason, "it stays approved; run again later")
            case Refused(reason):
                pass
            case Duplicate(reason):
                found = self.look(row)
            case Unknown(reason):
                try:
                    found = self.look(row)
                except MynahError as error:
                    reason += f"; {error}"
                if found is None:
                    posts.doubt(self.connection, row.id, reason)
                    raise self.failure(row, reason, "nobody knows whether it was posted; a later run finds out")
            case _:
                assert_never(outcome)
        if found:
            return self.record(row, found)
        posts.refuse(self.connection, row.id, reason)
        raise self.failure(row, reason, "it is rejected; run again to post another")

    def look(self, row: Post) -> Published | None:
        for _ in range(LOOKS):
            time.sleep(self.pause)
            if found := find(self.account, row):
                return found
        return None

    def record(self, row: Post, found: Published) -> Result:
        if refused := record(self.connection, self.account, row, found):
            self.note(f"tweet {row.tweet_id} is rejected: {refused}")
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
