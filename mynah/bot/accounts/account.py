"""What all accounts have in common."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mynah.bot.kinds import Kind
from mynah.bot.post import Posting
from mynah.bot.section import Unit

_PREFIX = r"^([A-Z][A-Z0-9_]*_)?$"
_ADDRESS = r"^https?://[^/?#\s]+/?$"


def _prefix(value: str) -> str:
    if not re.fullmatch(_PREFIX, value):
        raise ValueError("not the beginning of variables' names: capitals, digits and _, with _ at the end, e.g. NEWS_")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(_ADDRESS, value):
        raise ValueError("not a server's address: write https:// and its name, e.g. https://mastodon.social")
    return value.rstrip("/")


Prefix = Annotated[str, Unit("prefix"), Field(json_schema_extra={"pattern": _PREFIX}), AfterValidator(_prefix)]
Address = Annotated[str, Unit("URL"), Field(json_schema_extra={"pattern": _ADDRESS}), AfterValidator(_address)]
Language = Annotated[str, Unit("ISO 639-1"), Field(pattern="^[a-z]{2}$")]


class Account(Posting, Kind):
    """Where a bot posts. Its kind is the name of the module in jobs/accounts/ that posts there."""


class KeyedAccount(Account):
    """An account whose keys are in the environment."""

    env: Prefix = ""
    """What the names of the account's environment variables begin with."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with the account's keys."""
