"""How a request wants its texts sampled: the fields that all routes share, with their ranges and defaults."""

import difflib
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.model.errors import RequestError
from serving.model.messages import Chat, Sample

MOST_CHARACTERS = 1_000_000  # of a prompt: far more than any context holds
Prompt = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class Sampling(BaseModel):
    """Sampling fields, under OpenAI's names. A model's manifest overrides these defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    max_tokens: int = Field(default=60, ge=1, le=2**31 - 1)
    """Most tokens per text. The model's context, less the prompt, may leave room for fewer."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """0: the likeliest token, always."""
    top_p: float = Field(default=1.0, ge=0, le=1)
    """Sample from the likeliest tokens whose probabilities add up to this."""
    top_k: int = Field(default=0, ge=0, le=2**31 - 1)
    """Sample from this many likeliest tokens; 0 for all."""
    repetition_penalty: float = Field(default=1.0, gt=0, le=2)
    """Above 1: tokens of the prompt and of the text so far become less likely."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Taken off the logarithmic probability of every token that the text has already."""
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    """The same, once per time that the text has the token."""
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    """The same seed gives the same texts, however busy the server is: the request is written in a batch of its own, for
    which others wait. Without a seed, every request differs."""
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = []
    """A text ends before the first of these strings."""
    n: int = Field(default=1, ge=1, le=128)
    """Texts per prompt."""

    def samples(
        self,
        prompts: Sequence[str | tuple[int, ...] | Chat],
        stream: bool = False,
        logprobs: int | None = None,
        echo: bool = False,
        each: int | None = None,
    ) -> list[Sample]:
        """The texts to ask the engine for: `each`, by default n, of the first prompt, and so on."""
        # One seed per text: the texts of a request differ, and those of seeds 1 and 2 do not overlap.
        seeds = random.Random(self.seed)  # noqa: S311
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        return [
            Sample(
                prompt=prompt,
                max_tokens=self.max_tokens,
                temperature=self.temperature if self.top_p > 0 else 0.0,
                top_p=self.top_p,
                top_k=self.top_k,
                repetition_penalty=self.repetition_penalty,
                presence_penalty=self.presence_penalty,
                frequency_penalty=self.frequency_penalty,
                seed=seeds.getrandbits(32),
                stop=stop,
                stream=stream,
                logprobs=logprobs,
                echo=echo,
                alone=self.seed is not None,
            )
            for prompt in prompts
            for _ in range(each or self.n)
        ]


class PromptSampling(Sampling):
    """A prompt with its sampling: an instance of V1."""

    prompt: Prompt = ""


Fields = TypeVar("Fields", bound=BaseModel)


def read_fields(kind: type[Fields], given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Fields:
    """A `kind` of the fields in `given`, and in `defaults` where those are not given; null counts as not given.

    Raises RequestError. Its message names the first field at fault, and what that may be.
    """
    try:
        return kind.model_validate({**(defaults or {}), **{k: v for k, v in given.items() if v is not None}})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, kind.model_fields, n=1)
        known = f"did you mean {near[0]}?" if near else "known: " + ", ".join(kind.model_fields)
        raise RequestError(400, f"{name}: unknown field; {known}", name)
    if first["type"].startswith(("greater_than", "less_than")):
        raise RequestError(400, f"{name}: must be {_range(kind, name)}, not {first['input']}", name)
    raise RequestError(400, f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}", name)


def _range(kind: type[BaseModel], name: str) -> str:
    """The range of a number in words, e.g. "at least 0 and at most 2"."""
    words = []
    for limit in kind.model_fields[name].metadata:
        match limit:
            case annotated_types.Ge(ge=low):
                words.append(f"at least {low}")
            case annotated_types.Gt(gt=low):
                words.append(f"above {low}")
            case annotated_types.Le(le=high):
                words.append(f"at most {high}")
    return " and ".join(words)
