"""The account `outbox`."""

from typing import Literal

from mynah.bot.accounts.account import Account


class OutboxAccount(Account):
    """A file on this machine that posts are written to, for trying out without an account anywhere."""

    kind: Literal["outbox"]
    """What sort of account this is."""
