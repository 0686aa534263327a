"""The section `promote`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Cron, Scheduled, Unit


class Promote(Scheduled):
    """When a newly trained model becomes the one that speaks. It is judged first, and refused where it is worse."""

    schedule: Cron | None = None
    """When a cluster looks for a new model: minute, hour, day of month, month, day of week. Without it, only
    `mynah promote` promotes."""
    max_slowdown: Annotated[float, Unit("times as long")] = Field(default=2.0, ge=1)
    """Refuse a model that takes this many times as long per answer as the current one (medians)."""
