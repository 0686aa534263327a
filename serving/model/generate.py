"""The generate extension of the Open Inference Protocol: one text, whole or as a stream.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/generate_rest.yaml. KServe has no
such routes. The specification wants the version in the path; without it works too, as in V2's other routes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mynah.model_name import versioned
from serving.model.body import read_body
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Event, Token
from serving.model.models import Models
from serving.model.sampling import Prompt, Sampling, read_fields
from serving.model.stream import stream_response


class GenerateRequest(Sampling):
    """The body, its `parameters` laid open."""

    text_input: Prompt
    n: Literal[1] = 1
    """An answer has room for one text."""
    details: bool = False
    """Say why the text ended, and tell the logarithmic probability of every token."""

    @property
    def logprobs(self) -> int | None:
        """As the engine takes it."""
        return 0 if self.details else None


def generate_routes(models: Models) -> APIRouter:
    """/v2/models/NAME/generate and generate_stream, also below NAME/versions/ID."""
    router = APIRouter(prefix="/v2/models/{name}", tags=["V2"])

    @router.post("/generate")
    @router.post("/versions/{version}/generate")
    async def generate(request: Request, name: str, version: str | None = None) -> Response:
        async with models.using(versioned(name, version)) as model:
            with _unprocessable():
                fields = await _read(request, model.served)
                (completion,) = await model.engine.complete(
                    fields.samples([fields.text_input], logprobs=0 if fields.details else None)
                )
        data = _answer(model.served, completion.text)
        if fields.details:
            logprobs = [_token(token) for token in completion.details]
            data["details"] = {"finish_reason": completion.finish, "logprobs": logprobs}
        return JSONResponse(data)

    @router.post("/generate_stream")
    @router.post("/versions/{version}/generate_stream")
    async def generate_stream(request: Request, name: str, version: str | None = None) -> Response:
        async with models.using(versioned(name, version)) as model:

            def chunk(place: int, event: Event) -> dict[str, Any]:
                data = _answer(model.served, event.text)
                if event.finish and event.details:
                    data["details"] = {"finish_reason": event.finish, "token": _token(event.details[-1])}
                return data

            with _unprocessable():
                fields = await _read(request, model.served)
                samples = fields.samples([fields.text_input], stream=True, logprobs=fields.logprobs)
                return await stream_response(model.engine.generate(samples), chunk, RequestError.kserve_body)

    return router


@contextlib.contextmanager
def _unprocessable() -> Iterator[None]:
    """Raises RequestError 422, as the specification has it, where other routes have 400."""
    try:
        yield
    except RequestError as error:
        if error.status != 400:
            raise
        raise RequestError(422, error.message, error.param) from None


async def _read(request: Request, served: ServedModel) -> GenerateRequest:
    body = await read_body(request)
    parameters = body.pop("parameters", None) or {}
    if not isinstance(parameters, dict):
        raise RequestError(400, "parameters: must be an object", "parameters")
    return read_fields(GenerateRequest, body | parameters, served.defaults)


def _answer(served: ServedModel, text: str) -> dict[str, Any]:
    return {"text_output": text, "model_name": served.name, "model_version": served.id}


def _token(token: Token) -> dict[str, Any]:
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.special}
