"""What every section of the bot file is made of: its base classes, and the types that several sections share."""

import difflib
import functools
import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Unit:
    """What a value counts or is, in a word or two; the reference page prints it."""

    name: str


def _cron(value: str) -> str:
    try:
        first = next(CronSim(value, datetime.now()), None)
    except CronSimError as error:
        raise ValueError(f"not a cron expression ({error})") from None
    if first is None:
        raise ValueError("a cron expression of a day that never comes")
    if len(value.split()) != 5:
        raise ValueError("not a cron expression of five fields, as Kubernetes takes it")
    return value


# Listing them reads a thousand files.
_zones = functools.cache(zoneinfo.available_timezones)


def _zone(value: str) -> str:
    if value not in _zones():
        near = difflib.get_close_matches(value, _zones(), n=1)
        raise ValueError("not an IANA time zone" + (f"; did you mean {near[0]}?" if near else ""))
    return value


_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"


def _quantity(value: str) -> str:
    if not re.fullmatch(_QUANTITY, value):
        raise ValueError("not an amount as Kubernetes writes it, such as 500m or 2Gi")
    return value


# A bot's name becomes part of Kubernetes object names (at most 52 characters for a CronJob).
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]
Cron = Annotated[
    str,
    Unit("cron expression"),
    Field(json_schema_extra={"pattern": r"^\S+( \S+){4}$"}),
    AfterValidator(_cron),
]
Zone = Annotated[str, Unit("IANA time zone"), AfterValidator(_zone)]
# An amount as Kubernetes writes it: 500m is half a core, 2Gi two gibibytes.
Quantity = Annotated[
    str,
    Unit("Kubernetes quantity"),
    Field(json_schema_extra={"pattern": _QUANTITY}),
    AfterValidator(_quantity),
]


class Section(BaseModel):
    """A part of the bot file. Frozen; an unknown key is an error that names the nearest known one.

    The docstring of a field is its line in docs/bot-file.md and what an editor shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_key(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                hint = cls._meant(str(key))
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"hint": hint, "at": (str(key),)})
        return data

    @classmethod
    def _meant(cls, key: str) -> str:
        """What to write instead of an unknown key."""
        near = difflib.get_close_matches(key, cls.model_fields, n=1, cutoff=0.5)
        return f"did you mean {near[0]}?" if near else "known: " + ", ".join(cls.model_fields)


class Scheduled(Section):
    """A verb that a cluster runs by the clock."""

    schedule: Cron | None = None
    """When it runs: minute, hour, day of month, month, day of week. Without one, it does not run by itself."""
    time_zone: Zone = "Etc/UTC"
    """The time zone that the schedule is read in."""
    suspend: bool = False
    """Let the schedule's times pass without running, until this is false again."""
