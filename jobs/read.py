"""Read an account's own posts, a page at a time, the newest first. What a page may cost is reserved before."""

import time
from collections.abc import Iterator
from decimal import Decimal

from jobs.accounts import Account, Page
from mynah.bot.post import Posting
from mynah.database import budget, reactions, readings, spend
from mynah.database.budget import Budget, OverBudget
from mynah.database.connection import Connection
from mynah.database.posts import with_urls
from mynah.database.readings import Reading
from mynah.errors import MynahError

FAILED_READS = 3  # per run and reading, until the account is left alone; the next run goes on from there


def budget_of(section: Posting) -> Budget:
    """What the account may post and spend."""
    most = None if section.max_cost_usd is None else Decimal(str(section.max_cost_usd))
    return Budget(section.max_posts_per_day, section.max_posts_per_month, most)


def pages(
    connection: Connection, account: Account, reading: Reading, allowed: Budget, size: int, pause: float
) -> Iterator[tuple[Page, dict[str, int]]]:
    """The pages of a reading from where it stopped, each with the ids of those of our posts that it shows, by address.

    The first page is asked for about `size` posts, each later one for twice as many. What people made of posts that are
    ours is kept on the way.

    Raises MynahError where the account does not tell, or the budget does not allow it. `pause`: seconds before a page
    is asked for again.
    """
    least, most = account.page_size
    size, cursor, failures = max(least, min(size, most)), reading.cursor, 0
    while True:
        try:
            reserved = budget.reserve_reading(
                connection, reading.bot, reading.account, allowed, account.read_cost * size
            )
        except OverBudget as error:
            raise MynahError(f"{account.name} is not read: {error}") from None
        try:
            page = account.own_posts(reading.since, reading.after, size, cursor)
        except MynahError as error:  # it may have cost what was reserved
            page = Page([], cursor, str(error))
        else:
            if reserved:
                spend.settle(connection, reserved, account.read_cost * len(page.shown))
            ours = with_urls(connection, [shown.published.url for shown in page.shown])
            reactions.note(
                connection,
                {ours[shown.published.url]: shown.numbers for shown in page.shown if shown.published.url in ours},
            )
            yield page, ours
        if page.problem:
            failures += 1
            if failures == FAILED_READS:
                raise MynahError(page.problem)
            time.sleep(pause)
            continue
        readings.move(connection, reading, page.cursor)
        if page.cursor is None:
            return
        cursor, size = page.cursor, min(2 * size, most)
