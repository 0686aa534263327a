"""OpenAI's completions and models, at /openai/v1.

KServe has such routes only where vLLM is installed.
https://platform.openai.com/docs/api-reference/completions
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from serving.model.body import read_body
from serving.model.engine import Completion
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Event, Token
from serving.model.models import Known, Models, TextModel
from serving.model.openai_form import Answer, OpenAIRequest, named_model, read_request
from serving.model.sampling import MOST_CHARACTERS
from serving.model.stream import stream_response

# Fields of OpenAI's that this server cannot do, unless they have these values. OpenVINO GenAI has no bias.
NOT_HERE: dict[str, tuple[Any, ...]] = {"logit_bias": ({},), "suffix": ("",)}
MOST_PROMPTS = 1024
AnyPrompt = str | tuple[int, ...]
"""A text, or its tokens."""


_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_PROMPT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        _TOKENS,
        {"type": "array", "items": {"anyOf": [{"type": "string"}, _TOKENS]}, "minItems": 1, "maxItems": MOST_PROMPTS},
    ]
}


def _prompts(value: Any) -> tuple[AnyPrompt, ...]:
    """One prompt or several, each a text or a list of tokens."""
    single = isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int))
    prompts = [value] if single else value
    if not (isinstance(prompts, list) and 0 < len(prompts) <= MOST_PROMPTS):
        raise PydanticCustomError("prompt", f"a text, its tokens, or a list of 1 to {MOST_PROMPTS} of them is needed")
    found: list[AnyPrompt] = []
    for prompt in prompts:
        if isinstance(prompt, list) and prompt and all(type(id) is int and id >= 0 for id in prompt):
            found.append(tuple(prompt))
        elif isinstance(prompt, str):
            found.append(prompt)
        else:
            raise PydanticCustomError("prompt", "a text, or a list of one token or more, is needed for each")
    if any(len(prompt) > MOST_CHARACTERS for prompt in found):
        raise PydanticCustomError("prompt", f"at most {MOST_CHARACTERS:,} characters or tokens are taken")
    return tuple(found)


class CompletionRequest(OpenAIRequest):
    """The body of a completion."""

    prompt: Annotated[
        tuple[AnyPrompt, ...], BeforeValidator(_prompts), Field(strict=False), WithJsonSchema(_PROMPT_SCHEMA)
    ] = ("",)
    """Without one, a text begins anew."""
    max_tokens: int = Field(default=60, ge=0, le=2**31 - 1)
    """0 only with echo: nothing is written then, and the prompt is told."""
    echo: bool = False
    """Tell the prompt before each text."""
    logprobs: int | None = Field(default=None, ge=0, le=20)
    """Tell every token with its logarithmic probability, and as many of the likeliest ones in its place."""
    best_of: int | None = Field(default=None, ge=1, le=128)
    """Write so many texts per prompt, and answer the `n` whose tokens are the likeliest on average."""


def openai_routes(models: Models) -> APIRouter:
    """/openai/v1/completions and /openai/v1/models."""
    router = APIRouter(prefix="/openai/v1", tags=["OpenAI"])

    @router.get("/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_about(known) for known in models.listed()]}

    @router.get("/models/{name}")
    async def model_named(name: str) -> dict[str, Any]:
        return _about(models.find(name))

    @router.post("/completions")
    async def completions(request: Request) -> Response:
        body = await read_body(request)
        async with models.using(named_model(body, models)) as model:
            return await _complete(model, _read(body, model.served))

    return router


async def _complete(model: TextModel, fields: CompletionRequest) -> Response:
    answer = _Texts(model.served, fields)
    if fields.stream:
        samples = fields.samples(fields.prompt, stream=True, logprobs=fields.logprobs, echo=fields.echo)
        events = model.engine.generate(samples)
        return await stream_response(
            events, answer.chunk, RequestError.openai_body, end=lambda: answer.end(fields.stream_options)
        )
    each = fields.best_of or fields.n
    # The best are found by their tokens' probabilities, be they asked for or not.
    logprobs = 0 if each > fields.n and fields.logprobs is None else fields.logprobs
    samples = fields.samples(fields.prompt, logprobs=logprobs, echo=fields.echo, each=each)
    texts = await model.engine.complete(samples)
    choices: list[dict[str, Any]] = []
    for place in range(len(fields.prompt)):
        written = texts[place * each : (place + 1) * each]
        answer.count(written[0].prompt_tokens, sum(text.tokens for text in written))
        for text in sorted(written, key=_likelihood, reverse=True)[: fields.n] if each > fields.n else written:
            choices.append(answer.choice(len(choices), text.text, text.finish_reason, text.details))
    return JSONResponse(answer.body(choices, usage=True))


def _about(known: Known) -> dict[str, Any]:
    return {"id": known.name, "object": "model", "created": known.created, "owned_by": "mynah"}


def _likelihood(text: Completion) -> float:
    """Of its own tokens, on average."""
    own = [token.logprob or 0.0 for token in text.details[len(text.details) - text.tokens :]]
    return sum(own) / max(len(own), 1)


class _Texts(Answer):
    """The answer to a completion."""

    def __init__(self, served: ServedModel, fields: CompletionRequest) -> None:
        super().__init__(served, "text_completion", "cmpl", fields.n)
        self.fields = fields
        self._offsets: dict[int, int] = {}  # index of a choice → characters up to its next token

    def chunk(self, place: int, event: Event) -> dict[str, Any]:
        return self.body([self.choice(place, event.text, self.finish(place, event), event.details)])

    def choice(self, index: int, text: str, reason: str | None, details: Sequence[Token]) -> dict[str, Any]:
        logprobs = None if self.fields.logprobs is None else self._logprobs(index, details)
        return {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}

    def _logprobs(self, index: int, details: Sequence[Token]) -> dict[str, Any]:
        """Offsets count from where the prompt begins, as OpenAI's do; a prompt given as tokens has no length there."""
        prompt = self.fields.prompt[index // self.n]
        before = len(prompt) if isinstance(prompt, str) and not self.fields.echo else 0
        offset, offsets = self._offsets.get(index, before), []
        for token in details:
            offsets.append(offset)
            offset += 0 if token.special else len(token.text)
        self._offsets[index] = offset
        return {
            "tokens": [token.text for token in details],
            "token_logprobs": [token.logprob for token in details],
            "top_logprobs": [
                None if token.logprob is None else {one.text: one.logprob for one in (*token.likeliest, token)}
                for token in details
            ],
            "text_offset": offsets,
        }


def _read(body: dict[str, Any], served: ServedModel) -> CompletionRequest:
    fields = read_request(CompletionRequest, body, served, NOT_HERE)
    if not fields.max_tokens and not fields.echo:
        raise RequestError(400, "max_tokens: must be at least 1, or 0 with echo", "max_tokens")
    if fields.best_of and fields.best_of < fields.n:
        raise RequestError(400, f"best_of: must be at least n, which is {fields.n}, not {fields.best_of}", "best_of")
    if fields.stream and (fields.best_of or 1) > fields.n:
        raise RequestError(400, "best_of: not with stream: the best are known at the end", "best_of")
    for prompt in fields.prompt:
        if isinstance(prompt, tuple) and served.vocabulary and max(prompt) >= served.vocabulary:
            message = f"prompt: there is no token {max(prompt)}; the last of this model is {served.vocabulary - 1}"
            raise RequestError(400, message, "prompt")
    return fields
