"""Where a bot posts: a module per kind of account. A new kind is a module and a line of KINDS."""

from typing import Annotated

from mynah.bot.accounts.account import Account, KeyedAccount
from mynah.bot.accounts.bluesky import BlueskyAccount
from mynah.bot.accounts.mastodon import MastodonAccount
from mynah.bot.accounts.outbox import OutboxAccount
from mynah.bot.accounts.x import XAccount
from mynah.bot.kinds import OneOf

__all__ = ["KINDS", "Account", "AnyAccount", "KeyedAccount"]

KINDS: dict[str, type[Account]] = {
    "outbox": OutboxAccount,
    "x": XAccount,
    "mastodon": MastodonAccount,
    "bluesky": BlueskyAccount,
}

AnyAccount = Annotated[Account, OneOf(KINDS)]
