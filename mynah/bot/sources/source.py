"""What all sources have in common."""

from mynah.bot.kinds import Kind


class Source(Kind):
    """Where texts come from. Its kind is the name of the module in scrapers/ that reads it."""
