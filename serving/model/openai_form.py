"""The form of OpenAI's requests and answers, as completions and chat share it."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Event
from serving.model.models import Models
from serving.model.sampling import Sampling, read_fields


class StreamOptions(BaseModel):
    """https://platform.openai.com/docs/api-reference/completions/create#completions-create-stream_options"""

    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False
    """Count the tokens in one more chunk, the last."""


class OpenAIRequest(Sampling):
    """What both bodies have. OpenAI has no top_k and no repetition_penalty: clients send them as extra fields."""

    model: str
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    user: str = ""
    """Ignored."""


Kind = TypeVar("Kind", bound=OpenAIRequest)


def named_model(body: Mapping[str, Any], models: Models) -> str:
    """The model that a request names. Raises RequestError where it names none."""
    name = body.get("model")
    if not isinstance(name, str):
        known = ", ".join(known.name for known in models.listed()[:20])
        raise RequestError(400, f"model: a string is needed, one of {known}", "model")
    return name


def read_request(
    kind: type[Kind], body: Mapping[str, Any], served: ServedModel, not_here: Mapping[str, tuple[Any, ...]]
) -> Kind:
    """The fields of `body`. Raises RequestError.

    `not_here` are fields of OpenAI's that this server cannot do, with the values that ask nothing of it.
    """
    for name, harmless in not_here.items():
        if (value := body.get(name)) is not None and value not in harmless:
            raise RequestError(400, f"{name}: this server cannot do that; leave it out", name)
    fields = read_fields(kind, {key: value for key, value in body.items() if key not in not_here}, served.defaults)
    if "stream_options" in fields.model_fields_set and not fields.stream:
        raise RequestError(400, "stream_options: only with stream, which is not true", "stream_options")
    return fields


class Answer:
    """One answer, or its chunks: they share an id and the count of tokens."""

    def __init__(self, served: ServedModel, kind: str, id: str, n: int) -> None:
        """`kind` is OpenAI's name of the object, and its id begins with `id`. There are `n` texts per prompt."""
        self.head = {
            "id": f"{id}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.id,
        }
        self.n = n
        self.prompt_tokens = 0
        self.tokens = 0

    def count(self, prompt_tokens: int, tokens: int) -> None:
        """Count a prompt, however many texts follow it, and the tokens of texts."""
        self.prompt_tokens += prompt_tokens
        self.tokens += tokens

    def finish(self, place: int, event: Event) -> str | None:
        """Why the text at `place` ended, if it did with `event`; then it is counted."""
        if not event.finish:
            return None
        self.count(event.prompt_tokens if place % self.n == 0 else 0, event.tokens)
        return "length" if event.finish == "length" else "stop"

    def body(self, choices: list[dict[str, Any]], usage: bool = False) -> dict[str, Any]:
        """The answer, or a chunk of it."""
        body: dict[str, Any] = {**self.head, "choices": choices}
        if usage:
            body["usage"] = {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.tokens,
                "total_tokens": self.prompt_tokens + self.tokens,
            }
        return body

    def end(self, options: StreamOptions) -> Iterator[Any]:
        """What ends a stream."""
        if options.include_usage:
            yield self.body([], usage=True)
        yield "[DONE]"
