"""The account `x`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah.bot.accounts.account import KeyedAccount, Prefix
from mynah.bot.section import Unit


class XAccount(KeyedAccount):
    """An account on X."""

    kind: Literal["x"]
    """What sort of account this is."""
    env: Prefix = ""
    """What the names of the account's environment variables begin with: with `NEWS_`, its keys are `NEWS_X_API_KEY`,
    `NEWS_X_API_SECRET`, `NEWS_X_ACCESS_TOKEN` and `NEWS_X_ACCESS_TOKEN_SECRET`. Two accounts of a bot must differ in
    it."""
    max_weight: Annotated[int | None, Unit("weighted characters")] = Field(default=None, ge=1, le=25000)
    """The longest text that this account takes, where that is less than `judge.max_weight`: of a bot that posts longer
    ones elsewhere."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with the account's four keys, `X_API_KEY`, `X_API_SECRET`, `X_ACCESS_TOKEN` and
    `X_ACCESS_TOKEN_SECRET`. Without one, nothing is posted from there, except to the X simulator."""
