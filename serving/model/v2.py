"""The Open Inference Protocol V2: infer, and the routes that name a version.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_rest.yaml
KServe's own routes take no version; a model's only version is its id.
"""

import struct
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from kserve import InferOutput, InferRequest, InferResponse
from kserve.errors import InferenceError

from mynah.model_name import versioned
from serving.model.errors import RequestError
from serving.model.models import TextModel
from serving.model.sampling import Sampling, read_fields

if TYPE_CHECKING:
    from kserve.protocol.rest.v2_endpoints import V2Endpoints

INPUT, TEXT, FINISH_REASON = "prompt", "text", "finish_reason"  # the tensors
MALFORMED = (ValueError, InferenceError, struct.error)  # what KServe raises of a tensor that is not as it says


def v2_routes(kserves: "V2Endpoints") -> APIRouter:
    """/v2/models/NAME/infer; metadata, ready and infer below NAME/versions/ID. `kserves` answers them."""
    router = APIRouter(prefix="/v2/models/{name}", tags=["V2"])

    @router.get("/versions/{version}")
    async def metadata(name: str, version: str) -> Any:
        return await kserves.model_metadata(versioned(name, version))

    @router.get("/versions/{version}/ready")
    async def ready(name: str, version: str) -> Any:
        answer = await kserves.model_ready(versioned(name, version))
        return answer.model_copy(update={"name": name})

    # Not KServe's route: its framework would judge the body, and answer in its own form.
    @router.post("/infer")
    @router.post("/versions/{version}/infer")
    async def infer(request: Request, response: Response, name: str, version: str | None = None) -> Any:
        return await kserves.infer(request, response, versioned(name, version), await request.body())

    return router


async def infer(model: TextModel, request: InferRequest) -> InferResponse:
    """V2's answer: the tensors `text` and `finish_reason`. Raises RequestError."""
    given = {key: value for key, value in (request.parameters or {}).items() if key != "binary_data_output"}
    sampling = read_fields(Sampling, given, model.served.defaults)
    completions = await model.engine.complete(sampling.samples(_prompts(request)))
    columns = {TEXT: [c.text for c in completions], FINISH_REASON: [c.finish_reason for c in completions]}
    for output in request.request_outputs or ():
        if output.name not in columns:
            raise RequestError(400, f"outputs: no output {output.name}; known: {', '.join(columns)}", "outputs")
    return InferResponse(
        response_id=request.id or uuid.uuid4().hex,
        model_name=model.served.name,
        model_version=model.served.id,
        infer_outputs=[InferOutput(name, [len(data)], "BYTES", data) for name, data in columns.items()],
        requested_outputs=request.request_outputs,
        use_binary_outputs=request.use_binary_outputs,
    )


def _prompts(request: InferRequest) -> list[str]:
    """The elements of the tensor `prompt`, in order. Raises RequestError."""
    names = [tensor.name for tensor in request.inputs]
    if names != [INPUT]:
        raise RequestError(400, f"inputs: one tensor named {INPUT} is needed, and there are {names}", "inputs")
    tensor = request.inputs[0]
    if tensor.datatype != "BYTES":
        raise RequestError(400, f"inputs: {INPUT} must have datatype BYTES, not {tensor.datatype}", "inputs")
    try:
        elements = np.asarray(tensor.as_numpy()).flatten().tolist()
        prompts = [element.decode() if isinstance(element, bytes) else element for element in elements]
    except MALFORMED as error:
        raise RequestError(400, f"inputs: {INPUT} has the wrong shape or is not UTF-8: {error}", "inputs") from None
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise RequestError(400, f"inputs: {INPUT} must hold one string or more", "inputs")
    return prompts
