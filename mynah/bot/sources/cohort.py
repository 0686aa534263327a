"""The source `cohort`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mynah.bot.section import Unit
from mynah.bot.sources.x import AccountName, XPosts


class CohortSource(XPosts):
    """Accounts on X that follow the same leaders. First the followers of all leaders are read, and each of them costs
    as much as an account that is looked up. Those who follow the most leaders are the cohort, and then their posts are
    read as those of an `x` source. It stays the same until the leaders or `max_accounts` change."""

    kind: Literal["cohort"]
    """What sort of source this is."""
    leaders: Annotated[list[AccountName], Unit("list of names")] = Field(default=[])
    """Whose followers are sought."""
    leaders_file: Annotated[str | None, Unit("address")] = Field(default=None, min_length=1)
    """Where more leaders' names lie: a text file with one per line, wherever a file source may lie."""
    opponents: Annotated[list[AccountName], Unit("list of names")] = Field(default=[])
    """The leaders of another side. Their followers are ranked too, and who is among the first `max_accounts` of both
    sides is left out."""
    opponents_file: Annotated[str | None, Unit("address")] = Field(default=None, min_length=1)
    """Where more opponents' names lie."""
    max_followers: Annotated[int, Unit("followers per leader")] = Field(default=10_000, ge=1)
    """How many followers of a leader are read, from the newest on."""
    max_accounts: Annotated[int, Unit("accounts")] = Field(default=1000, ge=1)
    """How many accounts the cohort has at the most. Of those who follow as many leaders, the oldest accounts count
    first. Accounts that are protected, or have no posts, are left out."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.leaders and not self.leaders_file:
            raise PydanticCustomError("no_leaders", "missing, and leaders_file too: name leaders", {"at": ("leaders",)})
        if both := {name.lower() for name in self.leaders} & {name.lower() for name in self.opponents}:
            raise PydanticCustomError(
                "both_sides", "{name} stands in leaders too", {"name": min(both), "at": ("opponents",)}
            )
        return self
