"""What an account may post and spend, and has: a claim reserves its post, a reading the posts that it may return.

A post counts from its claim until it is known that the account does not have it. A reading's cost is a row of `spend`
whose source is `account NAME`. Days and months are those of UTC, by Postgres' clock. Dollars are Decimal.
"""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from mynah.database.connection import Connection
from mynah.database.posts import LIVE

_DAY = "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
_MONTH = "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


class OverBudget(Exception):
    """The account's budget does not allow it. Its words stand after `nothing is posted: `."""


@dataclass(frozen=True)
class Budget:
    """What an account may; None: as much as it likes."""

    posts_per_day: int | None = None
    posts_per_month: int | None = None
    dollars_per_month: Decimal | None = None


@dataclass(frozen=True)
class Used:
    """What an account has posted, or may have."""

    today: int
    month: int
    dollars: Decimal
    """This month, for posts and for reading them."""

    def exceeds(self, budget: Budget, cost: Decimal, posts: int) -> str | None:
        """Why the budget does not allow so many posts more for these dollars; None where it does."""
        for limit, used, words in (
            (budget.posts_per_day, self.today, "posts today (max_posts_per_day)"),
            (budget.posts_per_month, self.month, "posts this month (max_posts_per_month)"),
        ):
            if posts and limit is not None and used + posts > limit:
                return f"its budget is used up: {used} of {limit} {words}"
        most = budget.dollars_per_month
        if most is not None and cost and self.dollars + cost > most:
            return (
                f"its budget is used up: ${self.dollars:.3f} of ${most:.2f} this month (max_cost_usd), ${cost:.3f} more"
            )
        return None


def used(connection: Connection, bot: str, account: str) -> Used:
    """What an account has posted and spent, or may have."""
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (WHERE claimed_at >= {_DAY}), count(*), coalesce(sum(cost), 0) + (
            SELECT coalesce(sum(cost), 0) FROM spend
            WHERE bot = %(bot)s AND source = 'account ' || %(account)s AND reserved_at >= {_MONTH})
        FROM posts
        WHERE bot = %(bot)s AND account = %(account)s AND claimed_at >= {_MONTH} AND state IN {LIVE}
        """,  # noqa: S608 — nothing in it comes from outside
        {"bot": bot, "account": account},
    ).fetchone()
    return Used(*row) if row else Used(0, 0, Decimal(0))


def alone(connection: Connection, bot: str, account: str) -> None:
    """Until this transaction ends, nobody else reserves anything of this account's budget."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('budget of ' || %s || '/' || %s, 0))", [bot, account]
    )


def reserve_reading(connection: Connection, bot: str, account: str, budget: Budget, most: Decimal) -> UUID | None:
    """Reserve what a page costs at most, before it is asked for. Returns the reservation; None where it costs nothing.

    Raises OverBudget where the budget does not allow it.
    """
    if not most:
        return None
    with connection.transaction():
        alone(connection, bot, account)
        if over := used(connection, bot, account).exceeds(budget, most, 0):
            raise OverBudget(over)
        row = connection.execute(
            """
            INSERT INTO spend (bot, source, request, sent, cost)
            VALUES (%s, 'account ' || %s, 'own posts', '{}', %s) RETURNING id
            """,
            [bot, account, most],
        ).fetchone()
    return row[0] if row else None
