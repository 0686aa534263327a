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
    samples: Annotated[int, Unit("texts")] = Field(default=200, ge=0)
    """How many texts a new model is asked for, to see whether it recites its training texts; 0: none, and it is not
    judged by that."""
    max_recited: Annotated[float, Unit("share of the texts")] = Field(default=0.05, ge=0, le=1)
    """Refuse a model of whose texts more than this share recite: a whole training text, one nearly the same, or 12
    words in a row of one."""
