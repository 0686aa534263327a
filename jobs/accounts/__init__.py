"""Where a bot posts: what an account does, and a module here per kind of account.

A kind's section, in mynah/bot/accounts/, is called like its module here. The module's
`open_account(bot, name, section, settings)` returns an `Account`, or raises UsageError where a setting is missing.

A text is posted by one call, after its row was claimed with the record that the call sends. Where nobody knows what
became of a call, the row is in doubt, and the account is read: one reading of its own posts, the newest first, answers
for all rows in doubt (jobs/settle.py).
"""

import difflib
import importlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from mynah.bot.accounts import KINDS
from mynah.bot.post import Post as PostSection
from mynah.bot.post import Posting
from mynah.errors import UsageError

if TYPE_CHECKING:
    from mynah.bot import Bot
    from mynah.database.posts import Post
    from mynah.rules import Rejection
    from mynah.settings import Settings

FREE = Decimal(0)
Record: TypeAlias = dict[str, Any]
"""What is stored with a claim, as JSON: all that the call sends and that must be the same if it is sent again."""


@dataclass(frozen=True)
class Published:
    """A post as the account knows it."""

    id: str
    url: str


@dataclass(frozen=True)
class Posted:
    """The text was posted."""

    published: Published


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


@dataclass(frozen=True)
class Shown:
    """One of the account's own posts, as the account shows it."""

    published: Published
    text: str
    """For people, and for `same`."""
    data: dict[str, Any] = field(default_factory=dict)
    """As the account gives it: for `same`."""
    numbers: dict[str, int] = field(default_factory=dict)
    """What people made of it, by name: likes, reposts, replies, quotes, views. Those that the account does not tell are
    left out."""


@dataclass(frozen=True)
class Page:
    """Some of the account's own posts, the newest first."""

    shown: list[Shown]
    cursor: str | None
    """Where the next page begins; None: there is none, all posts back to `since` were read."""
    problem: str | None = None
    """Why this answer may lack posts: those that it has count, and the reading is to be tried again from its cursor."""


class Account(Protocol):
    """Where a bot posts."""

    @property
    def name(self) -> str:
        """What people call it, to stand after `posted to`."""

    @property
    def settle(self) -> timedelta:
        """How long after an attempt a post that the account does not show surely does not exist (settle_minutes)."""

    @property
    def idempotent(self) -> bool:
        """Whether the same record, sent again, stays one post, however often and when. Then a lost answer is asked for
        once more at once, by sending the same again; later, it is looked for as on other accounts."""

    @property
    def page_size(self) -> tuple[int, int]:
        """The fewest and the most posts that a page can be asked to have."""

    @property
    def read_cost(self) -> Decimal:
        """Dollars per post that `own_posts` returns."""

    def cost(self, text: str) -> Decimal:
        """Dollars that posting this text costs."""

    def long(self, text: str) -> "Rejection | None":
        """Why the account takes no text of this length, by its own way of counting. Raises MynahError where it must be
        asked for its limit and does not tell."""

    def record(self, post: "Post") -> Record | None:
        """What to store with this claim. It asks nobody. `post.record` is what was stored with an earlier claim of the
        same text that came to nothing, or None."""

    def post(self, post: "Post") -> Outcome:
        """Post the text of this row by one call, with `post.record`. Never repeats it by itself."""

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        """A page of the account's own posts, by one call. Raises MynahError where it cannot be read.

        since:  how far back to read: posts that were made earlier are not needed (aware; by Postgres' clock)
        after:  the id of a post from before `since`, where one is known: it says so whatever the account's clock shows
        size:   how many posts to ask for, within page_size
        cursor: that of the page before, perhaps of hours ago; None: begin with the newest
        """

    def same(self, post: "Post", shown: Shown) -> bool | None:
        """Whether `shown` is the post of this row; None where only their links differ, so that a person must look."""


def choose(bot: "Bot", name: str | None) -> tuple[str, Posting]:
    """The bot's account `name`, or its only one, with its section. Raises UsageError where that says too little."""
    accounts = bot.accounts_by_name()
    known = ", ".join(accounts)
    if name is None:
        if len(accounts) > 1:
            raise UsageError(f"bot {bot.name} has several accounts ({known}): choose one with --account NAME")
        name = next(iter(accounts))
    if name not in accounts:
        near = difflib.get_close_matches(name, accounts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {known}"
        raise UsageError(f"bot {bot.name} has no account {name}; {hint}")
    return name, accounts[name]


def open_account(bot: "Bot", name: str, settings: "Settings") -> Account:
    """The account `name` of the bot. Raises UsageError where what it needs is not set.

    The short form `post:` is an account on X where the environment has the keys, else the outbox.
    """
    section = bot.accounts_by_name()[name]
    if isinstance(section, PostSection):
        kind = "x" if settings.x_keys() else "outbox"
        section = KINDS[kind].model_validate({**section.model_dump(include={*Posting.model_fields}), "kind": kind})
    module = importlib.import_module(f"jobs.accounts.{section.kind}")
    return cast(Account, module.open_account(bot.name, name, section, settings))
