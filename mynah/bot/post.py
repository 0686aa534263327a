"""The section `post`, and what it shares with every account."""

from typing import Annotated

from pydantic import AfterValidator, Field

from mynah.bot.section import Cron, Scheduled, Unit


def _range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("write the smaller number first")
    return value


_Minutes = Annotated[float, Field(ge=0, le=60)]
Jitter = Annotated[tuple[_Minutes, _Minutes], AfterValidator(_range)]


class Posting(Scheduled):
    """When approved texts are posted to an account."""

    schedule: Cron = "0 */3 * * *"
    """When a text is posted: minute, hour, day of month, month, day of week."""
    jitter_minutes: Annotated[Jitter, Unit("minutes")] = (0, 0)
    """A run by the schedule first waits a random time between these two, such as `[1, 3]`."""
    late_minutes: Annotated[float, Unit("minutes")] = Field(default=60, ge=1, le=1440)
    """How late a text may be posted. A time of the schedule whose post fails is tried again with growing pauses; when
    it is too late, or the next time has come, it is missed, and nothing is made up for."""
    settle_minutes: Annotated[float, Unit("minutes")] = Field(default=10, ge=0.05)
    """How long a post may take to show on the account. What is not there after that was not posted, and may be posted
    again. An outbox shows it at once."""
    live: bool = False
    """At a time of the schedule without an approved text, let the model write until a text passes every rule, and post
    it without a person."""
    max_posts_per_day: Annotated[int | None, Unit("posts")] = Field(default=None, ge=0)
    """Post no more on a day (in UTC). Without it, as the schedule says."""
    max_posts_per_month: Annotated[int | None, Unit("posts")] = Field(default=None, ge=0)
    """Post no more in a calendar month (in UTC)."""
    max_cost_usd: Annotated[float | None, Unit("dollars")] = Field(default=None, ge=0)
    """Spend no more in a calendar month (in UTC), on posts and on reading them. X takes $0.015 for a post, $0.20 for
    one with a link, and $0.001 for each post that is read."""
    likes_days: Annotated[int, Unit("days")] = Field(default=7, ge=0, le=90)
    """Once a day, read what people made of the posts of so many days. With 0, never."""
    stock_days: Annotated[float, Unit("days")] = Field(default=3, ge=0)
    """Warn when the approved texts last for fewer days. With 0, never."""


class Post(Posting):
    """The short form of `accounts` for a bot with one account, which is then named `main`. It is an account on X where
    the environment has the `X_*` keys, else the outbox. A bot file has `post` or `accounts`, not both."""

    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with `X_API_KEY`, `X_API_SECRET`, `X_ACCESS_TOKEN` and `X_ACCESS_TOKEN_SECRET`.
    Without one, nothing is posted from there, except to the X simulator."""
