"""OpenAI's chat completions, at /openai/v1/chat/completions: for models that have a chat template.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from serving.model.body import read_body
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Chat, Event, Token
from serving.model.models import Models, TextModel
from serving.model.openai_form import Answer, OpenAIRequest, named_model, read_request
from serving.model.sampling import MOST_CHARACTERS
from serving.model.stream import stream_response

# Fields of OpenAI's that this server cannot do, with the values that ask nothing of it.
NOT_HERE: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("auto", "none"),
    "tools": ([],),
    "verbosity": (),
    "web_search_options": (),
}
ROLES = ("system", "user", "assistant")
MOST_MESSAGES = 10_000
_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_CHAT_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_MESSAGES,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"enum": ROLES},
            "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART, "minItems": 1}]},
            "name": {"type": "string"},
        },
    },
}


def _chat(value: Any) -> Chat:
    """The conversation in a list of messages."""
    if not (isinstance(value, list) and 0 < len(value) <= MOST_MESSAGES):
        raise _wrong(f"a list of 1 to {MOST_MESSAGES:,} messages is needed")
    chat = Chat(tuple(_message(number, message) for number, message in enumerate(value, 1)))
    if sum(len(message["content"]) for message in chat.messages) > MOST_CHARACTERS:
        raise _wrong(f"at most {MOST_CHARACTERS:,} characters are taken")
    return chat


def _message(number: int, message: Any) -> dict[str, str]:
    """One message, with what it says as one text."""
    if not isinstance(message, dict):
        raise _wrong(f"message {number} is not an object with a role and a content")
    given = {key: value for key, value in message.items() if value is not None}
    role, content, name = given.pop("role", None), given.pop("content", None), given.pop("name", None)
    if role not in ROLES:
        raise _wrong(f"the role of message {number} must be {', '.join(ROLES[:-1])} or {ROLES[-1]}, not {role}")
    if not isinstance(name, str | None):
        raise _wrong(f"the name in message {number} is not a string")
    for key, value in given.items():
        if value:  # an assistant's message comes back as it was answered, with much that is empty
            raise _wrong(f"message {number} has {key}, and this server cannot do that; leave it out")
    if isinstance(content, list) and content:
        content = "\n".join(_part(number, part) for part in content)
    if not isinstance(content, str):
        raise _wrong(f"the content of message {number} must be a string, or a list of parts of the type text")
    return {"role": role, "content": content} | ({} if name is None else {"name": name})


def _part(number: int, part: Any) -> str:
    kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
    if kind != "text":
        raise _wrong(f"message {number} has a part of the type {kind}, and this server reads text alone")
    if not isinstance(text, str):
        raise _wrong(f"message {number} has a part of the type text, whose text is not a string")
    return text


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("messages", "{message}", {"message": message})


class ChatRequest(OpenAIRequest):
    """The body of a chat completion."""

    messages: Annotated[Chat, PlainValidator(_chat), WithJsonSchema(_CHAT_SCHEMA)]
    """What was said so far, oldest first. Parts of one message are put on lines of their own."""
    max_completion_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """OpenAI's newer name for max_tokens."""
    logprobs: bool = False
    """Tell every token with its logarithmic probability."""
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    """Tell as many of the likeliest tokens in its place."""


def chat_routes(models: Models) -> APIRouter:
    """/openai/v1/chat/completions."""
    router = APIRouter(prefix="/openai/v1/chat", tags=["OpenAI"])

    @router.post("/completions")
    async def chat_completions(request: Request) -> Response:
        body = await read_body(request)
        async with models.using(named_model(body, models)) as model:
            return await _complete(model, _read(body, model.served))

    return router


async def _complete(model: TextModel, fields: ChatRequest) -> Response:
    logprobs = (fields.top_logprobs or 0) if fields.logprobs else None
    samples = fields.samples([fields.messages], stream=fields.stream, logprobs=logprobs)
    if fields.stream:
        chunks = _Chunks(model.served, fields)
        return await stream_response(
            model.engine.generate(samples),
            chunks.chunk,
            RequestError.openai_body,
            chunks.begin,
            lambda: chunks.end(fields.stream_options),
        )
    texts = await model.engine.complete(samples)
    answer = Answer(model.served, "chat.completion", "chatcmpl", fields.n)
    answer.count(texts[0].prompt_tokens, sum(text.tokens for text in texts))
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text.text, "refusal": None},
            "finish_reason": text.finish_reason,
            "logprobs": _logprobs(fields, text.details),
        }
        for index, text in enumerate(texts)
    ]
    return JSONResponse(answer.body(choices, usage=True))


class _Chunks(Answer):
    """A streamed answer."""

    def __init__(self, served: ServedModel, fields: ChatRequest) -> None:
        super().__init__(served, "chat.completion.chunk", "chatcmpl", fields.n)
        self.fields = fields

    def begin(self) -> Iterator[dict[str, Any]]:
        """Who speaks, of every text."""
        for index in range(self.n):
            yield self._choice(index, {"role": "assistant", "content": "", "refusal": None}, None, None)

    def chunk(self, place: int, event: Event) -> dict[str, Any]:
        delta = {"content": event.text} if event.text else {}
        return self._choice(place, delta, self.finish(place, event), _logprobs(self.fields, event.details))

    def _choice(self, index: int, delta: dict[str, Any], reason: str | None, logprobs: Any) -> dict[str, Any]:
        return self.body([{"index": index, "delta": delta, "finish_reason": reason, "logprobs": logprobs}])


def _logprobs(fields: ChatRequest, details: Sequence[Token]) -> dict[str, Any] | None:
    if not fields.logprobs:
        return None
    content = [_told(token) | {"top_logprobs": [_told(one) for one in token.likeliest]} for token in details]
    return {"content": content, "refusal": None}


def _told(token: Token) -> dict[str, Any]:
    """Bytes put together are the text: a token that adds nothing to it, or is known by its number only, has none."""
    nothing = token.special or token.text == f"token_id:{token.id}"
    return {"token": token.text, "logprob": token.logprob, "bytes": None if nothing else list(token.text.encode())}


def _read(body: dict[str, Any], served: ServedModel) -> ChatRequest:
    if not served.chats:
        message = f"the model {served.name} has no chat template: use /openai/v1/completions"
        raise RequestError(400, message, "model")
    fields = read_request(ChatRequest, body, served, NOT_HERE)
    if fields.top_logprobs is not None and not fields.logprobs:
        raise RequestError(400, "top_logprobs: only with logprobs, which is not true", "top_logprobs")
    most = fields.max_completion_tokens
    if most is None:
        return fields
    if body.get("max_tokens") not in (None, most):
        message = f"max_completion_tokens: max_tokens means the same, and is {fields.max_tokens}, not {most}"
        raise RequestError(400, message, "max_completion_tokens")
    return fields.model_copy(update={"max_tokens": most})
