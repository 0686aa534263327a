"""The section `generate`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from mynah.bot.section import Cron, Scheduled, Unit


def _check(value: Any) -> Any:
    """Say it in one line; of a union, pydantic says why each part of it does not fit."""
    if value == "mined" or (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
        return value
    raise PydanticCustomError("prompts", "neither a list of texts, with at least one, nor the word mined")


Prompts = Annotated[
    Annotated[list[str], Field(min_length=1)] | Literal["mined"],
    BeforeValidator(_check),
]


class Generate(Scheduled):
    """How candidates are asked of the served model, and when."""

    schedule: Cron = "0 3 * * *"
    """When candidates are asked for: minute, hour, day of month, month, day of week."""
    prompts: Annotated[Prompts, Unit("list of texts, or `mined`")] = Field(default=[""])
    """What the texts begin with. "" lets the model begin by itself. `mined`: the commonest openings and phrases of the
    texts that the model was trained on, as their dataset keeps them."""
    mined_prompts: Annotated[int, Unit("prompts")] = Field(default=20, ge=1, le=200)
    """How many of the mined prompts are taken, the best ones."""
    samples: Annotated[int, Unit("candidates per prompt")] = Field(default=10, ge=1)
    """How many candidates are asked for with each prompt."""
    max_tokens: Annotated[int, Unit("tokens per candidate")] = Field(default=60, ge=1)
    """Where a candidate is cut off, if it has not ended by itself."""
    temperature: Annotated[float, Unit("factor")] = Field(default=0.9, gt=0, le=2)
    """How freely words are chosen. Below 1: safer. Above 1: wilder."""
    top_p: Annotated[float, Unit("probability")] = Field(default=0.95, gt=0, le=1)
    """Choose among the likeliest tokens that together have this probability."""
    top_k: Annotated[int, Unit("tokens")] = Field(default=50, ge=0)
    """Choose among this many of the likeliest tokens; 0 for all."""
    repetition_penalty: Annotated[float, Unit("factor")] = Field(default=1.0, ge=1, le=2)
    """Above 1, tokens that were already said become less likely."""
    seed: Annotated[int | None, Unit("number")] = None
    """Seed of the sampling. Without one, every call differs."""
