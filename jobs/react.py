"""Read what people made of a bot's posts: likes, reposts, replies, as the account counts them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.accounts import Account
from jobs.read import budget_of, pages
from mynah.bot.post import Posting
from mynah.database import posts, readings
from mynah.database.connection import Connection
from mynah.errors import MynahError

PAGE = 100


@dataclass(frozen=True)
class Read:
    """What was read of one account."""

    bot: str
    account: str
    posts: int
    """Posts of the last days that the account showed."""
    reactions: dict[str, int]
    """All of them together, by name."""
    days: int
    problem: str | None
    """Why the reading stopped."""

    def summary(self) -> str:
        told = ", ".join(f"{number:,} {name}" for name, number in sorted(self.reactions.items())) or "no numbers"
        end = f"; then it stopped: {self.problem}" if self.problem else ""
        return f"{self.account}: {self.posts} posts of the last {self.days} days: {told}{end}"


def read_reactions(
    bot: str,
    name: str,
    connection: Connection,
    account: Account,
    section: Posting,
    note: Callable[[str], None],
    pause: float = 1.0,
) -> Read:
    """Read the account's posts of the last `likes_days`, within its budget, and keep their numbers.

    What stops it is noted, and told in the answer; the next reading goes on from there.
    """
    since = datetime.now(UTC) - timedelta(days=section.likes_days)
    if posts.newest_before(connection, bot, name, datetime.now(UTC)) is None:
        return Read(bot, name, 0, {}, section.likes_days, None)  # nothing was ever posted there
    after = posts.newest_before(connection, bot, name, since)
    count, total, problem = 0, Counter[str](), None
    reading = readings.begin(connection, bot, name, "reactions", since, after)
    try:
        for page, _ in pages(connection, account, reading, budget_of(section), PAGE, pause):
            count += len(page.shown)
            for shown in page.shown:
                total.update(shown.numbers)
    except MynahError as error:
        problem = str(error)
        note(f"likes are not read: {error}")
    return Read(bot, name, count, dict(total), section.likes_days, problem)
