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
from serving.model.models import Models
from serving.model.v1 import predict
from serving.model.v2 import FINISH_REASON, INPUT, MALFORMED, TEXT, infer


class KServeModel(Model):  # type: ignore[misc] # KServe has no types
    """One model, as KServe calls it."""

    def __init__(self, name: str, models: Models) -> None:
        super().__init__(name)
        self.models = models

    async def healthy(self) -> bool:
        return self.models.find(self.name).state == "READY"

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
        async with self.models.using(self.name) as model:
            if isinstance(payload, InferRequest):
                return await infer(model, payload)
            return await predict(model, payload)

    async def explain(self, payload: object, headers: dict[str, str] | None = None) -> dict[str, Any]:
        raise RequestError(404, f"{self.name} has no explainer: use {self.name}:predict")


class TextRepository(ModelRepository):  # type: ignore[misc] # KServe has no types
    """What KServe asks which models there are."""

    def __init__(self, models: Models) -> None:
        super().__init__()
        self._of = models

    def get_model(self, name: str) -> KServeModel:
        self._of.find(name)
        return KServeModel(name, self._of)

    def get_models(self) -> dict[str, KServeModel]:
        return {known.name: KServeModel(known.name, self._of) for known in self._of.listed()}


class TextPlane(DataPlane):  # type: ignore[misc] # KServe has no types
    """KServe's data plane: says "warming up" until models answer, which they are, and what a body is."""

    def __init__(self, models: Models) -> None:
        super().__init__(TextRepository(models))
        self.models = models

    async def get_model(self, name: str) -> KServeModel:
        model: KServeModel = self.model_registry.get_model(name)
        return model

    async def ready(self) -> bool:
        self.models.check()
        return True

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        known = self.models.find(model_name)
        if known.state == "LOADING":
            raise RequestError(503, known.reason, code="warming_up", retry_after=1)
        return True

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        known = self.models.find(model_name)
        about: dict[str, Any] = await super().model_metadata(model_name)
        return about | {"name": known.name, "versions": [known.id], "platform": "openvino"}

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
