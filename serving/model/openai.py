"""OpenAI's completions and models, at /openai/v1.

KServe has such routes only where vLLM is installed.
https://platform.openai.com/docs/api-reference/completions
"""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from serving.model.body import read_body
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Event
from serving.model.models import Models, find
from serving.model.sampling import Prompt, Sampling, read_fields
from serving.model.stream import stream_response

# Fields of OpenAI's that this server cannot do, unless they have one of these values.
NOT_HERE: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "logit_bias": ({},),
    "logprobs": (),
    "suffix": ("",),
}


class StreamOptions(BaseModel):
    """https://platform.openai.com/docs/api-reference/completions/create#completions-create-stream_options"""

    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False
    """Count the tokens in one more chunk, the last."""


class CompletionRequest(Sampling):
    """The body of a completion. OpenAI has no top_k and no repetition_penalty: clients send them as extra fields."""

    model: str
    prompt: Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=1024)] = ""
    """Without one, a text begins anew."""
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    user: str = ""
    """Ignored."""


def openai_routes(models: Models) -> APIRouter:
    """/openai/v1/completions and /openai/v1/models."""
    router = APIRouter(prefix="/openai/v1", tags=["OpenAI"])

    @router.get("/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_about(model.served) for model in models.values()]}

    @router.get("/models/{name}")
    async def model_named(name: str) -> dict[str, Any]:
        return _about(find(models, name).served)

    @router.post("/completions")
    async def completions(request: Request) -> Response:
        body = await read_body(request)
        name = body.get("model")
        if not isinstance(name, str):
            raise RequestError(400, "model: a string is needed, one of " + ", ".join(models), "model")
        model = find(models, name)
        fields = _read(body, model.served)
        prompts = [fields.prompt] if isinstance(fields.prompt, str) else fields.prompt
        samples = fields.samples(prompts, stream=fields.stream)
        answer = _Answer(model.served, fields.n)
        if fields.stream:

            def end() -> Iterator[Any]:
                if fields.stream_options.include_usage:
                    yield answer.body([], usage=True)
                yield "[DONE]"

            return await stream_response(model.engine.generate(samples), answer.chunk, RequestError.openai_body, end)
        choices = []
        for place, text in enumerate(await model.engine.complete(samples)):
            answer.count(place, text.prompt_tokens, text.tokens)
            choices.append(_choice(place, text.text, text.finish_reason))
        return JSONResponse(answer.body(choices, usage=True))

    return router


def _about(served: ServedModel) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "mynah"}


class _Answer:
    """One answer, or its chunks: they share an id and the count of tokens."""

    def __init__(self, served: ServedModel, n: int) -> None:
        self.head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.id,
        }
        self.n = n
        self.prompt_tokens = 0
        self.tokens = 0

    def count(self, place: int, prompt_tokens: int, tokens: int) -> None:
        """Count a finished text; the prompt that n texts share counts once."""
        self.prompt_tokens += prompt_tokens if place % self.n == 0 else 0
        self.tokens += tokens

    def chunk(self, place: int, event: Event) -> dict[str, Any]:
        reason = None
        if event.finish:
            reason = "length" if event.finish == "length" else "stop"
            self.count(place, event.prompt_tokens, event.tokens)
        return self.body([_choice(place, event.text, reason)])

    def body(self, choices: list[dict[str, Any]], usage: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {**self.head, "choices": choices}
        if usage:
            body["usage"] = {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.tokens,
                "total_tokens": self.prompt_tokens + self.tokens,
            }
        return body


def _choice(place: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": place, "text": text, "finish_reason": finish_reason, "logprobs": None}


def _read(body: dict[str, Any], served: ServedModel) -> CompletionRequest:
    for name, harmless in NOT_HERE.items():
        value = body.pop(name, None)
        # The type too, because 0 == False: logprobs=0 does ask for something.
        if value is not None and not any(value == usual and type(value) is type(usual) for usual in harmless):
            raise RequestError(400, f"{name}: this server cannot do that; leave it out", name)
    fields = read_fields(CompletionRequest, body, served.defaults)
    if "stream_options" in fields.model_fields_set and not fields.stream:
        raise RequestError(400, "stream_options: only with stream, which is not true", "stream_options")
    return fields
