"""The account `bluesky`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah.bot.accounts.account import Address, KeyedAccount, Language, Prefix
from mynah.bot.section import Unit


class BlueskyAccount(KeyedAccount):
    """An account on Bluesky, or on a server of one's own. A text may have 300 characters and 3,000 bytes."""

    kind: Literal["bluesky"]
    """What sort of account this is."""
    handle: Annotated[str | None, Field(pattern=r"^([a-z0-9-]+\.)+[a-z]+$|^did:[a-z]+:\S+$")] = None
    """The account's name, such as `mynah.bsky.social`, or its DID. Left out, `BLUESKY_HANDLE` names it."""
    server: Address = "https://bsky.social"
    """Where the account signs in."""
    language: Language | None = None
    """The language that the posts are marked with."""
    env: Prefix = ""
    """What the names of the account's environment variables begin with: with `NEWS_`, its app password is
    `NEWS_BLUESKY_APP_PASSWORD`. Two accounts of a bot on Bluesky must differ in it."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with the account's `BLUESKY_APP_PASSWORD`. Without one, nothing is posted from there."""
