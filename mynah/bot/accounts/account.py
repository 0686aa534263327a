"""What all accounts have in common."""

from mynah.bot.kinds import Kind
from mynah.bot.post import Posting


class Account(Posting, Kind):
    """Where a bot posts. Its kind is the name of the module in jobs/accounts/ that posts there."""
