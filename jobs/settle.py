"""Find out what became of attempts to post that nobody reported on: one reading of the account's own posts tells.

It does not matter whether a poster was killed or lived without knowing: such a row is in doubt (`unknown`). A row that
the account does not show after its settling time was not posted, and goes back to be posted. A reading that fails goes
on where it was, in the next run too. A person is asked where a post differs from the row in nothing but links, or where
the account could not be read for a day.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from jobs.accounts import Account, Published, Shown
from jobs.read import pages
from mynah.database import posts, readings, slots
from mynah.database.budget import Budget
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.database.readings import Reading
from mynah.errors import MynahError


@dataclass
class Settled:
    """What a reading told."""

    posted: list[tuple[Post, Published]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    """Why, by the row's id: another row has that post."""
    unread: str | None = None
    """Why the account was not read to the end."""


@dataclass(frozen=True)
class Doubts:
    """The rows in doubt of one account, and how to settle them. The caller has the poster's lock."""

    connection: Connection
    account: Account
    bot: str
    name: str
    budget: Budget
    note: Callable[[str], None]
    """Takes a line for people."""
    pause: float
    """Seconds before a page that failed is asked for again."""

    def settle(self) -> Settled:
        """Read the account once for all rows in doubt; once more for those that came after a reading that stopped."""
        settled = Settled()
        for _ in range(2):
            rows = posts.unknown(self.connection, self.bot, self.name)
            asked = [row for row in rows if row.alike is None]
            if not asked:
                break
            since = min(row.failed_at or row.claimed_at for row in asked)  # an earlier attempt may have come late
            after = posts.newest_before(self.connection, self.bot, self.name, since)
            reading = readings.begin(self.connection, self.bot, self.name, "doubt", since, after)
            try:
                self._read(reading, {row.id: row for row in rows if row.claimed_at < reading.begun_at}, settled)
            except MynahError as error:
                settled.unread = str(error)
                self.note(f"{_number(len(asked))} in doubt: {error}")
                break
            if reading.cursor is None:  # it began in this run, and so after every claim
                break
        return settled

    def record(self, row: Post, found: Published) -> str | None:
        """Write down that a post was found or made. Where another row has this very post, refuse this one: says why."""
        try:
            posts.record(self.connection, row.id, found.id, found.url)
        except psycopg.errors.UniqueViolation:  # two bots share the account, and this text
            reason = f"{self.account.name} had this text already: {found.url}"
            posts.refuse(self.connection, row.id, reason)
            self.note(f"tweet {row.tweet_id} is rejected: {reason}")
            return reason
        return None

    def _read(self, reading: Reading, rows: dict[int, Post], settled: Settled) -> None:
        """Raises MynahError where the account does not tell."""
        alike: dict[int, str] = {}
        for page, ours in pages(self.connection, self.account, reading, self.budget, len(rows), self.pause):
            for shown in page.shown:
                self._compare(shown, shown.published.url in ours, rows, alike, settled)
            if all(row.alike for row in rows.values()):
                readings.move(self.connection, reading, None)
                return
        for row in rows.values():
            if row.id in alike:
                self.note(f"tweet {row.tweet_id} is for a person: {compare(row, alike[row.id])}")
            elif row.alike is None and row.claimed_at + self.account.settle <= reading.begun_at:
                reason = f"{self.account.name} does not have it ({row.reason})"
                again = give_back(self.connection, row, reason, pause=False)
                self.note(
                    f"tweet {row.tweet_id} had not been posted: "
                    f"{'approved again' if again else 'it came to nothing too often, and is for a person'}"
                )

    def _compare(
        self, shown: Shown, ours: bool, rows: dict[int, Post], alike: dict[int, str], settled: Settled
    ) -> None:
        """Settle the row whose post this is, and take it from `rows`; note those that differ from it in links alone.

        `ours`: it is recorded already, as some row's.
        """
        url = shown.published.url
        for row in [*rows.values()]:
            same = self.account.same(row, shown)
            if same:
                del rows[row.id]
                if refused := self.record(row, shown.published):
                    settled.refused[row.id] = refused
                else:
                    settled.posted.append((row, shown.published))
                    self.note(f"tweet {row.tweet_id} had been posted: {url}")
                return
            if same is None and not ours:
                alike[row.id] = url
                posts.looks_like(self.connection, row.id, url)


def give_back(
    connection: Connection, row: Post, reason: str, until: datetime | None = None, pause: bool = True
) -> bool:
    """Write down that a row was not posted, nor its time of the schedule, which is tried again after a `pause`.

    False: the row came to nothing too often, and is refused.
    """
    with connection.transaction():
        if row.slot:
            slots.failed(connection, row.bot, row.account, row.slot, reason, until, pause)
        return posts.give_back(connection, row.id, reason)


@dataclass(frozen=True)
class Decided:
    """What a person said of a post in doubt."""

    bot: str
    account: str
    tweet: int
    there: bool
    url: str | None
    text: str

    def summary(self) -> str:
        if self.there:
            return f"tweet {self.tweet} is posted to {self.account}: {self.url}"
        return f"tweet {self.tweet} was not posted to {self.account}, and may be posted again"


def decide(connection: Connection, bot: str, name: str, tweet: int, there: bool, url: str | None) -> Decided:
    """A person looked, and says whether a post in doubt is there; `url` where, unless we know a post that is alike.

    Raises MynahError where there is no such post in doubt, a poster has it in hand, or the address is missing.
    """
    with posts.poster_lock(connection, bot, name) as alone:
        if not alone:
            raise MynahError(f"a poster of {bot} to {name} is at work: wait a minute, and look again")
        posts.abandoned(connection, bot, name)
        row = next((row for row in posts.unknown(connection, bot, name) if row.tweet_id == tweet), None)
        if row is None:
            raise MynahError(f"tweet {tweet} is not in doubt on {bot}'s account {name}: see `mynah status {bot}`")
        url = (url or row.alike) if there else None
        if not there:
            give_back(connection, row, "a person says that it was not posted", pause=False)
        elif url is None or not url.startswith(("http://", "https://", "file://")):
            raise MynahError(f"say where tweet {tweet} is, with its address: --url https://…")
        else:
            try:
                posts.record(connection, row.id, url.rstrip("/").rpartition("/")[2], url)
            except psycopg.errors.UniqueViolation:
                raise MynahError(f"{url} is another tweet's post: see `mynah history {bot}`") from None
    return Decided(bot, name, tweet, there, url, row.text)


def compare(row: Post, url: str) -> str:
    """What a person is asked about a post in doubt."""
    return (
        f"{url} differs from it in nothing but links. Is it this post? `{verb(row)} there` or `{verb(row)} not-there`"
    )


def verb(row: Post) -> str:
    """The command that takes a person's answer, but for the answer."""
    account = "" if row.account == "main" else f" --account {row.account}"
    return f"mynah settle {row.bot} {row.tweet_id}{account}"


def _number(count: int) -> str:
    return "1 post stays" if count == 1 else f"{count} posts stay"
