"""The section `scrape`."""

from mynah.bot.section import Cron, Scheduled


class Scrape(Scheduled):
    """When a cluster reads the sources again."""

    schedule: Cron = "0 1 * * *"
    """When the sources are read: minute, hour, day of month, month, day of week."""
