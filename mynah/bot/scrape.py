"""The section `scrape`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Cron, Scheduled, Unit


class Scrape(Scheduled):
    """Reading the sources: when a cluster does it again, and what it may cost."""

    schedule: Cron = "0 1 * * *"
    """When the sources are read: minute, hour, day of month, month, day of week."""
    max_cost_usd: Annotated[float, Unit("US dollars per month")] = Field(default=5.0, ge=0)
    """What the bot's sources may cost together in a calendar month (UTC), where one costs anything. It is never passed:
    they stop when it is reached, and go on in the next month. With 0, nothing is read that costs anything."""
