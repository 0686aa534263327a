"""The section `post`, and what it shares with every account."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Cron, Scheduled, Unit


class Posting(Scheduled):
    """When approved texts are posted to an account."""

    schedule: Cron = "0 */3 * * *"
    """When a text is posted: minute, hour, day of month, month, day of week."""
    settle_minutes: Annotated[float, Unit("minutes")] = Field(default=10, ge=0)
    """How long a post may take to show on the account. What is not there after that was not posted, and may be posted
    again. An outbox shows it at once."""


class Post(Posting):
    """The short form of `accounts` for a bot with one account, which is then named `main`. It is an account on X where
    the environment has the `X_*` keys, else the outbox. A bot file has `post` or `accounts`, not both."""

    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with `X_API_KEY`, `X_API_SECRET`, `X_ACCESS_TOKEN` and `X_ACCESS_TOKEN_SECRET`.
    Without one, nothing is posted from there, except to the X simulator."""
