"""The section `generate`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from mynah.bot.section import Cron, Scheduled, Section, Unit


class Prompt(Section):
    """A prompt with a number of samples of its own."""

    prompt: str
    """What the texts begin with."""
    samples: int = Field(ge=1)
    """How many candidates are asked for with it."""


def _check_prompts(value: Any) -> Any:
    """Say it in one line; of a union, pydantic says why each part of it does not fit."""
    if value == "mined" or (isinstance(value, list) and value and all(map(_is_prompt, value))):
        return value
    raise PydanticCustomError(
        "prompts",
        "neither a list of texts, with at least one, nor the word mined; one may be {wanted}",
        {"wanted": "{prompt: TEXT, samples: NUMBER}"},
    )


def _is_prompt(value: Any) -> bool:
    if isinstance(value, str | Prompt):
        return True
    return (
        isinstance(value, dict)
        and set(value) == {"prompt", "samples"}
        and isinstance(value["prompt"], str)
        and type(value["samples"]) is int
        and value["samples"] > 0
    )


def _check_temperature(value: Any) -> Any:
    ends = value if isinstance(value, list | tuple) else [value]
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    if not numbers or (isinstance(value, list | tuple) and len(ends) != 2):
        raise PydanticCustomError("temperature", "neither a number nor two of them, such as [0.7, 1.0]")
    if not all(0 < end <= 2 for end in ends) or ends[0] > ends[-1]:
        raise PydanticCustomError("temperature", "want above 0 and at most 2, the lower one first")
    return value


Prompts = Annotated[
    Annotated[list[str | Prompt], Field(min_length=1)] | Literal["mined"],
    BeforeValidator(_check_prompts),
]
Number = Annotated[float, Field(gt=0, le=2)]
Temperature = Annotated[Number | tuple[Number, Number], BeforeValidator(_check_temperature)]


class Generate(Scheduled):
    """How candidates are asked of the served model, and when."""

    schedule: Cron = "0 3 * * *"
    """When candidates are asked for: minute, hour, day of month, month, day of week."""
    prompts: Annotated[Prompts, Unit("list of texts, or `mined`")] = Field(default=[""])
    """What the texts begin with. "" lets the model begin by itself. One of `{prompt: TEXT, samples: 5}` has a number of
    samples of its own. `mined`: the commonest openings and phrases of the texts that the model was trained on, as their
    dataset keeps them."""
    mined_prompts: Annotated[int, Unit("prompts")] = Field(default=20, ge=1, le=200)
    """How many of the mined prompts are taken, the best ones."""
    samples: Annotated[int, Unit("candidates per prompt")] = Field(default=10, ge=1)
    """How many candidates are asked for with each prompt."""
    case: Literal["keep", "lower", "upper"] = "keep"
    """Write the prompts in small letters, or in capitals, as the model learned them."""
    line_break: Annotated[str | None, Unit("text")] = Field(default=None, min_length=1)
    """What stands for a line break in what the model learned, such as "@": it becomes one in a candidate."""
    stop: Annotated[str | None, Unit("text")] = Field(default=None, min_length=1)
    """A candidate ends before this text, where the model writes it."""
    max_tokens: Annotated[int, Unit("tokens per candidate")] = Field(default=60, ge=1)
    """Where a candidate is cut off, if it has not ended by itself."""
    temperature: Annotated[Temperature, Unit("factor, or two")] = 0.9
    """How freely words are chosen. Below 1: safer. Above 1: wilder. Of two, such as `[0.7, 1.0]`, each request draws
    one between them."""
    top_p: Annotated[float, Unit("probability")] = Field(default=0.95, gt=0, le=1)
    """Choose among the likeliest tokens that together have this probability."""
    top_k: Annotated[int, Unit("tokens")] = Field(default=50, ge=0)
    """Choose among this many of the likeliest tokens; 0 for all."""
    repetition_penalty: Annotated[float, Unit("factor")] = Field(default=1.0, ge=1, le=2)
    """Above 1, tokens that were already said become less likely."""
    seed: Annotated[int | None, Unit("number")] = None
    """Seed of the sampling; the next generation of the same model goes on counting. Without one, each request draws
    one."""

    def listed(self) -> list[str]:
        """The prompts that the bot file lists, each once; none where they are mined."""
        if self.prompts == "mined":
            return []
        return list(dict.fromkeys(each if isinstance(each, str) else each.prompt for each in self.prompts))

    def cased(self, prompt: str) -> str:
        """A prompt as the model is asked with it."""
        match self.case:
            case "lower":
                return prompt.lower()
            case "upper":
                return prompt.upper()
        return prompt

    @property
    def middle_temperature(self) -> float:
        """For who takes one number."""
        return self.temperature if isinstance(self.temperature, float) else sum(self.temperature) / 2
