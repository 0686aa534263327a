"""What is asked: a prompt, and how to sample. Each field that is wrong has a message of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mynah.text import count_words, fold_spaces, storable

MOST_CHARACTERS, MOST_WORDS = 100, 20  # of a prompt


class Sampling(BaseModel):
    """How the texts are sampled; two prompts with other values are two."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    num_samples: Annotated[int, Field(ge=1, le=100)] = 20
    """Texts that the model writes. Fewer are answered: what the judge rejects is left out."""
    length: Annotated[int, Field(ge=1, le=280)] = 60
    """The most tokens of a text."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    top_k: Annotated[int, Field(ge=0, le=1000)] = 40
    """Sample from this many likeliest tokens; 0 for all."""


@dataclass(frozen=True)
class Asked:
    """A prompt of one bot."""

    bot: str
    prompt: str
    """As it was typed, its white space folded: what the model goes on from."""
    sampling: Sampling
    majority: bool = False
    """Show only the texts that sound as most of the answer's do: a view of the answer, which is written without it."""

    @property
    def key(self) -> str:
        """Equal for prompts that count as the same."""
        return self.prompt.lower()


class Wrong(Exception):
    """A request that cannot be answered as it is: HTTP's `status`, which field, and what is wrong with it."""

    def __init__(self, status: int, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.status, self.field = status, field


def check_characters(field: str, text: str) -> None:
    """Raises Wrong, 400, for what Postgres does not carry: NUL, and halves of characters."""
    if storable(text) != text:
        raise Wrong(400, field, "it contains a character that is none")


def truth(field: str, given: Any) -> bool:
    """A field that is true or false, as JSON or a URL has it. Raises Wrong, 400."""
    match given:
        case bool():
            return given
        case str() if given.lower() in ("true", "false"):
            return given.lower() == "true"
    raise Wrong(400, field, f"{given!r:.60} is not true or false")


def read(fields: Mapping[str, Any], bot: str) -> Asked:
    """What `fields` ask of a bot. Raises Wrong, 400."""
    known = ["prompt", "majority", *Sampling.model_fields]
    if unknown := sorted(set(fields).difference(known)):
        raise Wrong(400, unknown[0], f"there is no such field; there are {', '.join(known)}")
    prompt = fields.get("prompt")
    if prompt is None:
        raise Wrong(400, "prompt", "it is missing")
    if not isinstance(prompt, str):
        raise Wrong(400, "prompt", "it is no text")
    prompt = fold_spaces(prompt)
    check_characters("prompt", prompt)
    if len(prompt) > MOST_CHARACTERS:
        raise Wrong(400, "prompt", f"it has {len(prompt)} characters, and {MOST_CHARACTERS} are the most")
    if (words := count_words(prompt)) > MOST_WORDS:
        raise Wrong(400, "prompt", f"it has {words} words, and {MOST_WORDS} are the most")
    majority = truth("majority", fields.get("majority", False))
    try:
        sampling = Sampling.model_validate({name: fields[name] for name in Sampling.model_fields if name in fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Input should be ")
        raise Wrong(400, str(first["loc"][0]), f"{first['input']!r:.60} is not {message}") from None
    return Asked(bot, prompt, sampling, majority)
