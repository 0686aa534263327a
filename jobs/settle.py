"""Find out what became of attempts to post that nobody reported on: the account's own posts tell.

A row that the account lacks after its settling time was not posted, and goes back to be posted, whether its poster was
killed (`claimed`) or lived without knowing (`unknown`). A person is asked only where the account could not be read for
a day, or a post of it cannot be told from this one.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from jobs.accounts import Account, Posted, Published
from mynah.database import posts
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.errors import MynahError

# A claim younger than this belongs to the run that this one repeats (a Job starts a failed pod again within
# seconds to minutes): one text is posted by both together.
SAME_RUN = timedelta(minutes=10)
ASK_FOR = timedelta(days=1)  # how long an account is asked about an attempt; then a person decides
ASK_ABOUT = 20  # unknown posts per run: each costs a reading of the account's posts
FAILED_READS = 3  # of these per run, until the account is left alone


@dataclass
class Settled:
    """What a run found out about posts that a killed poster left."""

    posted: tuple[Post, Published] | None = None
    """The one that the run which this one repeats had posted."""
    waiting: Post | None = None
    """One that may still appear."""


def record(connection: Connection, account: Account, row: Post, found: Published) -> str | None:
    """Write down that a post was found or made. Where another row has this very post, refuse this one and say why."""
    try:
        posts.record(connection, row.id, found.id, found.url)
    except psycopg.errors.UniqueViolation:  # two bots share the account, and this text
        reason = f"{account.name} had this text already: {found.url}"
        posts.refuse(connection, row.id, reason)
        return reason
    return None


def find(account: Account, row: Post) -> Published | None:
    """The account's own post of this row. Raises MynahError where it cannot be told."""
    if account.idempotent:
        outcome = account.post(row)
        if isinstance(outcome, Posted):
            return outcome.published
        raise MynahError(outcome.reason)
    doubtful, cursor, size = None, None, account.page_size[0]
    while True:
        page = account.own_posts(row.claimed_at, None, size, cursor)
        for shown in page.shown:
            match account.same(row, shown):
                case True:
                    return shown.published
                case None:
                    doubtful = shown.published.url
        if page.problem:
            raise MynahError(page.problem)
        if page.cursor is None:
            break
        cursor, size = page.cursor, min(2 * size, account.page_size[1])
    if doubtful:
        raise MynahError(
            f"tweet {row.tweet_id} and {doubtful} differ in nothing but their links: compare them yourself"
        )
    return None


def settle_claimed(
    connection: Connection, account: Account, bot: str, name: str, note: Callable[[str], None]
) -> Settled:
    """Settle the posts that killed posters of this account left. The caller has the poster's lock.

    Raises MynahError where the account does not tell about one, when the others are settled.
    """
    settled = Settled()
    failed = None
    now = _now(connection)
    for row in posts.claimed(connection, bot, name, timedelta(0)):
        who = f"tweet {row.tweet_id}, left by a poster that was killed,"
        try:
            found = find(account, row)
        except MynahError as error:
            if now - row.claimed_at < ASK_FOR:
                failed = failed or error
            else:  # or nothing would ever be posted again
                posts.doubt(connection, row.id, str(error))
                note(f"{who} is left to a person: {error}")
            continue
        if found:
            recorded = _recorded(connection, account, row, found, note, f"{who} had been posted: {found.url}")
            if recorded and now - row.claimed_at < SAME_RUN:
                settled.posted = row, found
        elif now - row.claimed_at >= account.settle:
            posts.give_back(connection, row.id, "its poster was killed before it posted")
            note(f"{who} had not been posted: approved again")
        else:
            settled.waiting = settled.waiting or row
    if failed:
        raise failed
    return settled


def settle_unknown(connection: Connection, account: Account, bot: str, name: str, note: Callable[[str], None]) -> None:
    """Ask the account about posts of whose fate nobody knows; those in whose way it stands stay unknown."""
    now = _now(connection)
    rows = [row for row in posts.unknown(connection, bot, name) if now - row.claimed_at < ASK_FOR]
    failures = 0
    for row in random.sample(rows, min(len(rows), ASK_ABOUT)):  # by chance, so that each has its turn
        try:
            found = find(account, row)
        except MynahError as error:
            note(f"tweet {row.tweet_id} stays unknown: {error}")
            failures += 1
            if failures == FAILED_READS:
                return
            continue
        who = f"tweet {row.tweet_id}, unknown until now,"
        if found:
            _recorded(connection, account, row, found, note, f"{who} had been posted: {found.url}")
        elif now - row.claimed_at >= account.settle:
            posts.give_back(connection, row.id, f"{account.name} does not have it")
            note(f"{who} had not been posted: approved again")


def _recorded(
    connection: Connection, account: Account, row: Post, found: Published, note: Callable[[str], None], done: str
) -> bool:
    refused = record(connection, account, row, found)
    note(f"tweet {row.tweet_id} is rejected: {refused}" if refused else done)
    return refused is None


def _now(connection: Connection) -> datetime:
    """The database's time, which `claimed_at` is of."""
    (now,) = connection.execute("SELECT now()").fetchone() or (None,)
    assert isinstance(now, datetime)  # noqa: S101 — SELECT returns it
    return now
