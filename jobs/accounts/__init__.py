"""Where a bot posts: what an account does, and a module here per kind of account.

A kind's section, in mynah/bot/accounts/, is called like its module here. The module's
`open_account(bot, name, section, settings)` returns an `Account`, or raises UsageError where a setting is missing.
"""

import difflib
import importlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from mynah.bot.accounts import KINDS
from mynah.bot.post import Post as PostSection
from mynah.bot.post import Posting
from mynah.errors import UsageError

if TYPE_CHECKING:
    from mynah.bot import Bot
    from mynah.database.posts import Post
    from mynah.settings import Settings


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


class Account(Protocol):
    """Where a bot posts."""

    @property
    def name(self) -> str:
        """What people call it, to stand after `posted to`."""

    @property
    def settle(self) -> timedelta:
        """How long after an attempt a post that `find` does not find surely does not exist."""

    def post(self, post: "Post") -> Outcome:
        """Post the text of this row, once."""

    def find(self, post: "Post") -> Published | None:
        """The account's own post of this row's text. Raises MynahError where it cannot be told."""


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
        section = KINDS[kind].model_validate({"kind": kind})
    module = importlib.import_module(f"jobs.accounts.{section.kind}")
    return cast(Account, module.open_account(bot.name, name, section, settings))
