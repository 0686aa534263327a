"""What stands between KServe's routes and our models: they ask here which models there are, and what a body says."""

from typing import Any

from cloudevents.sdk.converters.util import has_binary_headers
from kserve import InferRequest, InferResponse, Model, ModelRepository
from kserve.constants.constants import INFERENCE_CONTENT_LENGTH_HEADER, PredictorProtocol
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.v2_datamodels import InferenceRequest
from pydantic import ValidationError

from serving.model.body import check_content_type, read_json
from serving.model.errors import RequestError
from serving.model.models import Models, TextModel, find
from serving.model.v1 import predict
from serving.model.v2 import FINISH_REASON, INPUT, MALFORMED, TEXT, infer


class KServeModel(Model):  # type: ignore[misc] # KServe has no types
    """One model, as KServe calls it."""

    def __init__(self, model: TextModel) -> None:
        super().__init__(model.served.name)
        self.model = model

    async def healthy(self) -> bool:
        return self.model.engine.ready

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in (TEXT, FINISH_REASON)]

    async def predict(
        self,
        payload: object,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | InferResponse:
        """V2 gives an InferRequest, V1 whatever JSON came. Raises RequestError."""
        if isinstance(payload, InferRequest):
            return await infer(self.model, payload)
        return await predict(self.model, payload)

    async def explain(self, payload: object, headers: dict[str, str] | None = None) -> dict[str, Any]:
        raise RequestError(404, f"{self.name} has no explainer: use {self.name}:predict")


class TextRepository(ModelRepository):  # type: ignore[misc] # KServe has no types
    """KServe's model repository. Its models are loaded when the server starts, and nobody can unload them."""

    def __init__(self, models: Models) -> None:
        super().__init__()
        for model in models.values():
            self.update(KServeModel(model))

    def unload(self, name: str) -> None:
        raise RequestError(501, "the models of this server stay: end the server to unload them")


class TextPlane(DataPlane):  # type: ignore[misc] # KServe has no types
    """KServe's data plane: says "warming up" until the engines answer, which models serve, and what a body is."""

    def __init__(self, models: Models, repository: TextRepository) -> None:
        super().__init__(repository)
        self.models = models

    def get_model_from_registry(self, name: str) -> KServeModel:
        find(self.models, name)
        model: KServeModel = self.model_registry.get_model(name)
        return model

    async def get_model(self, name: str) -> KServeModel:
        return self.get_model_from_registry(name)

    async def ready(self) -> bool:
        for model in self.models.values():
            model.engine.check()
        return True

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        find(self.models, model_name).engine.check()
        return True

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        about: dict[str, Any] = await super().model_metadata(model_name)
        return about | {"versions": [find(self.models, model_name).served.id], "platform": "openvino"}

    def decode(
        self,
        body: bytes,
        headers: dict[str, str],
        protocol_version: str = PredictorProtocol.REST_V1.value,
        model_name: str | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """The request in `body`, and a CloudEvent's attributes. Raises RequestError.

        KServe's own decoding takes a body of any type, and fails in its own words, or not at all.
        """
        if protocol_version != PredictorProtocol.REST_V2.value:
            check_content_type(headers)
            if has_binary_headers(headers):  # a CloudEvent whose attributes are headers
                return super().decode(body, headers)  # type: ignore[no-any-return]
            return self.decode_cloudevent(read_json(body))  # type: ignore[no-any-return]
        try:
            if INFERENCE_CONTENT_LENGTH_HEADER in headers:  # the binary tensor extension
                return self.decode_inference_request(body, headers, model_name), {}
            check_content_type(headers)
            request = InferenceRequest.model_validate(read_json(body))
            return self.decode_inference_request(request, headers, model_name), {}
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise RequestError(400, f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}", name) from None
        except (*MALFORMED, TypeError, LookupError, AttributeError) as error:  # KServe's reading, of anything
            raise RequestError(400, f"inputs: not as the protocol has it: {error}", "inputs") from None
