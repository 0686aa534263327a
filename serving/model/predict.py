"""KServe's own routes: V1 predict, and infer and metadata of the Open Inference Protocol V2."""

import uuid
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.protocol.dataplane import DataPlane
from pydantic import BaseModel, ConfigDict, Field

from serving.model.engine import Completion, Engine
from serving.model.errors import RequestError
from serving.model.folder import ServedModel
from serving.model.sampling import Prompt, PromptSampling, Sampling, read_fields, read_json

INPUT, TEXT, FINISH_REASON = "prompt", "text", "finish_reason"  # V2's tensors


class PredictRequest(BaseModel):
    """V1's body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instances: list[Prompt | dict[str, Any]] = Field(min_length=1, max_length=1024)
    """Each a prompt, or an object with `prompt` and sampling fields."""
    parameters: dict[str, Any] = {}
    """Sampling fields for all instances."""


class TextModel(Model):
    """The served model, as KServe calls it."""

    def __init__(self, served: ServedModel, engine: Engine) -> None:
        super().__init__(served.name)
        self.served = served
        self.engine = engine

    async def healthy(self) -> bool:
        return self.engine.ready

    def load(self) -> bool:
        """Asked for by the repository routes; the model is loaded once, by the server's start."""
        return self.engine.ready

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in (TEXT, FINISH_REASON)]

    async def predict(
        self,
        payload: Any,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | InferResponse:
        """V2 gives an InferRequest; V1 whatever JSON came. Raises RequestError."""
        if isinstance(payload, InferRequest):
            return await self._infer(payload)
        # KServe leaves a body undecoded unless its content type is application/json to the letter.
        return await self._predict(read_json(payload) if isinstance(payload, bytes) else payload)

    async def _predict(self, payload: dict[str, Any]) -> dict[str, Any]:
        request = read_fields(PredictRequest, payload)
        defaults = self.served.defaults | request.parameters
        fields = [{"prompt": given} if isinstance(given, str) else given for given in request.instances]
        instances = [read_fields(PromptSampling, given, defaults) for given in fields]
        samples = [sample for instance in instances for sample in instance.samples([instance.prompt])]
        completions = iter(await self.engine.complete(samples))
        return {"predictions": [_prediction([next(completions) for _ in range(i.n)]) for i in instances]}

    async def _infer(self, request: InferRequest) -> InferResponse:
        given = {key: value for key, value in (request.parameters or {}).items() if key != "binary_data_output"}
        sampling = read_fields(Sampling, given, self.served.defaults)
        completions = await self.engine.complete(sampling.samples(_prompts(request)))
        columns = {TEXT: [c.text for c in completions], FINISH_REASON: [c.finish_reason for c in completions]}
        for output in request.request_outputs or ():
            if output.name not in columns:
                raise RequestError(400, f"outputs: no output {output.name}; known: {', '.join(columns)}", "outputs")
        return InferResponse(
            response_id=request.id or uuid.uuid4().hex,
            model_name=self.name,
            model_version=self.served.id,
            infer_outputs=[InferOutput(name, [len(data)], "BYTES", data) for name, data in columns.items()],
            requested_outputs=request.request_outputs,
            use_binary_outputs=request.use_binary_outputs,
        )


class OneModelPlane(DataPlane):
    """KServe's data plane for one model: says "warming up" until the engine answers, and which model it is."""

    def __init__(self, registry: ModelRepository, model: TextModel) -> None:
        super().__init__(registry)
        self.model = model

    def get_model_from_registry(self, name: str) -> TextModel:
        check_name(name, self.model.served)
        return self.model

    async def get_model(self, name: str) -> TextModel:
        return self.get_model_from_registry(name)

    async def ready(self) -> bool:
        self.model.engine.check()
        return True

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        check_name(model_name, self.model.served)
        self.model.engine.check()
        return True

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        return await super().model_metadata(model_name) | {"versions": [self.model.served.id], "platform": "openvino"}


class OneModelRepository(ModelRepository):
    """KServe's model repository, of one model that nobody can unload."""

    def unload(self, name: str) -> None:
        raise RequestError(501, "this server serves one model; end the server to unload it")


def check_name(name: str, served: ServedModel, version: str | None = None) -> None:
    """Raises RequestError 404 where another model, or another version of it, is asked for."""
    if name != served.name:
        raise RequestError(404, f"no model {name} here; this server has {served.name}", "model", "model_not_found")
    if version not in (None, served.id):
        message = f"no version {version} of {name} here; this server has {served.id}"
        raise RequestError(404, message, "model_version", "model_not_found")


def _prediction(completions: list[Completion]) -> dict[str, Any]:
    """V1's answer to one instance: its n texts, and the first of them by itself."""
    return {
        "text": completions[0].text,
        "finish_reason": completions[0].finish_reason,
        "texts": [c.text for c in completions],
        "finish_reasons": [c.finish_reason for c in completions],
    }


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
    except ValueError as error:
        raise RequestError(400, f"inputs: {INPUT} has the wrong shape or is not UTF-8: {error}", "inputs") from None
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise RequestError(400, f"inputs: {INPUT} must hold one string or more", "inputs")
    return prompts
