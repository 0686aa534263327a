"""The section `alerts`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Scheduled, Unit


class Alerts(Scheduled):
    """Telling people what needs them: each thing once, through the addresses in the variable `MYNAH_ALERTS`, which are
    secrets and stand in no bot file. `mynah post` does it at its end, and `mynah alert` by this schedule."""

    stock: bool = True
    """Tell when the approved texts last for fewer days than the account's `stock_days`."""
    failed: bool = True
    """Tell when a time of a schedule was missed: nothing could be posted until it was too late."""
    doubts: bool = True
    """Tell when a post needs a person: an account refused the text, or nobody can tell whether it was posted."""
    candidates: Annotated[int, Unit("texts")] = Field(default=0, ge=0, le=10)
    """When the stock is low, show so many of the best candidates, each with a link to approve or reject it by phone.
    Needs `address`, and `MYNAH_SIGNING_KEY` for `mynah alert`, `mynah post` and `mynah play`."""
    address: Annotated[str | None, Unit("URL")] = Field(default=None, pattern=r"^https?://\S+$")
    """Where people reach `mynah play`, such as `https://bots.example.com`: there the links lead."""
    link_hours: Annotated[float, Unit("hours")] = Field(default=72, gt=0, le=720)
    """How long a link is good. It decides once, and whoever has it can."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with `MYNAH_ALERTS` and, for the links, `MYNAH_SIGNING_KEY`."""
