"""The source `x`."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mynah.bot.accounts.account import Prefix
from mynah.bot.section import Section, Unit
from mynah.bot.sources.source import Source


def account_name(value: str) -> str:
    """NAME, @NAME or an address of the account → NAME. Raises ValueError where it is none."""
    name = value.strip().removeprefix("https://").removeprefix("x.com/").removeprefix("twitter.com/")
    name = name.removeprefix("@").strip("/")
    if not (name.isascii() and name.replace("_", "").isalnum() and len(name) <= 15):
        raise ValueError(f"{value!r} names no account on X: write its name, as in https://x.com/NAME")
    return name


AccountName = Annotated[str, AfterValidator(account_name)]
Dollars = Annotated[float, Unit("US dollars")]


class XPrices(Section):
    """What X charges for reading. A thing that was read already on the same UTC day is free."""

    post: Dollars = Field(default=0.005, ge=0)
    """Per post that comes back."""
    user: Dollars = Field(default=0.010, ge=0)
    """Per account that is looked up."""
    since: Annotated[date, Unit("date")] = date(2026, 2, 1)
    """From when on these are X's prices, as far as you know. `mynah scrape BOT --estimate` says it."""


class XPosts(Source):
    """What sources that read posts on X have in common."""

    since: Annotated[date | None, Unit("date")] = None
    """Nothing older is read, such as `2018-01-01`."""
    limit: Annotated[int | None, Unit("posts per account")] = Field(default=None, ge=5, le=3200)
    """How far the first scrape of an account goes back: so many posts, or to where X ends, which is after 3,200. Later
    ones read what is new."""
    retweets: bool = True
    """Whether to read what an account only passes on. X does not charge for retweets that are left out."""
    replies: bool = True
    """Whether to keep replies to others; replies of an account to itself are kept always. X charges for those that are
    left out too: asked for none, it would leave out an account's replies to itself, and end after 800 posts."""
    env: Prefix = ""
    """What the name of the token's environment variable begins with: with `NEWS_`, it is `NEWS_X_BEARER_TOKEN`."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with the app's `X_BEARER_TOKEN`. Without one, nothing is read from there, except from
    the X simulator."""
    prices: XPrices = XPrices()
    """What X charges for reading."""


class XSource(XPosts):
    """Accounts on X, read through its API, which costs money per post: see `scrape.max_cost_usd`, and ask
    `mynah scrape BOT --estimate` first. Needs the token of an app, `X_BEARER_TOKEN`. The accounts are read one after
    the other, each from its newest post back, and later only for what is new."""

    kind: Literal["x"]
    """What sort of source this is."""
    accounts: Annotated[list[AccountName], Unit("list of names")] = Field(default=[])
    """The accounts, by name."""
    accounts_file: Annotated[str | None, Unit("address")] = Field(default=None, min_length=1)
    """Where more names lie: a text file with one per line, wherever a file source may lie."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.accounts and not self.accounts_file:
            raise PydanticCustomError(
                "no_accounts", "missing, and accounts_file too: name accounts", {"at": ("accounts",)}
            )
        return self
