"""The generate extension of the Open Inference Protocol: one text, whole or as a stream.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/generate_rest.yaml. KServe has no
such routes. The specification wants the version in the path; without it works too, as in V2's other routes.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from serving.model.engine import Engine
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.messages import Event, Token
from serving.model.predict import check_name
from serving.model.sampling import Prompt, Sampling, read_fields, read_json
from serving.model.stream import stream_response


class GenerateRequest(Sampling):
    """The body, its `parameters` laid open."""

    text_input: Prompt
    n: Literal[1] = 1
    """An answer has room for one text."""
    details: bool = False
    """Say why the text ended, and tell the logarithmic probability of every token."""


def generate_routes(served: ServedModel, engine: Engine) -> APIRouter:
    """/v2/models/NAME/generate and generate_stream, also below NAME/versions/ID."""
    router = APIRouter(prefix="/v2/models/{name}", tags=["V2"])

    def answer(text: str) -> dict[str, Any]:
        return {"text_output": text, "model_name": served.name, "model_version": served.id}

    def chunk(place: int, event: Event) -> dict[str, Any]:
        data = answer(event.text)
        if event.details:
            data["details"] = {"finish_reason": event.finish, "token": _token(event.details[-1])}
        return data

    @router.post("/generate")
    @router.post("/versions/{version}/generate")
    async def generate(request: Request, name: str, version: str | None = None) -> Response:
        check_name(name, served, version)
        fields = await _read(request, served)
        (completion,) = await engine.complete(fields.samples([fields.text_input], logprobs=fields.details))
        data = answer(completion.text)
        if fields.details:
            logprobs = [_token(token) for token in completion.details]
            data["details"] = {"finish_reason": completion.finish, "logprobs": logprobs}
        return JSONResponse(data)

    @router.post("/generate_stream")
    @router.post("/versions/{version}/generate_stream")
    async def generate_stream(request: Request, name: str, version: str | None = None) -> Response:
        check_name(name, served, version)
        fields = await _read(request, served)
        samples = fields.samples([fields.text_input], stream=True, logprobs=fields.details)
        return await stream_response(engine.generate(samples), chunk, RequestError.kserve_body)

    return router


async def _read(request: Request, served: ServedModel) -> GenerateRequest:
    """Raises RequestError 422, as the specification has it, where other routes have 400."""
    try:
        body = read_json(await request.body())
        parameters = body.pop("parameters", None) or {}
        if not isinstance(parameters, dict):
            raise RequestError(422, "parameters: must be an object", "parameters")
        return read_fields(GenerateRequest, body | parameters, served.defaults)
    except RequestError as error:
        raise RequestError(422, error.message, error.param) from None


def _token(token: Token) -> dict[str, Any]:
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.special}
