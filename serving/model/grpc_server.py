"""The Open Inference Protocol V2 over gRPC, with KServe's messages.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
KServe's own servicer answers UNKNOWN where a client is at fault, and cannot load a model.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc import aio
from kserve import InferRequest
from kserve.errors import InvalidInput
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.infer_type import to_http_parameters

from mynah.errors import MynahError
from mynah.model_name import versioned
from serving import request_id
from serving.model import metrics
from serving.model.dataplane import TextPlane
from serving.model.errors import RequestError
from serving.model.keys import is_known
from serving.model.models import Models
from serving.model.repository import Repository
from serving.model.sampling import Sampling
from serving.model.v2 import MALFORMED
from serving.transport import DRAIN_SECONDS

logger = logging.getLogger("serving")

LARGEST = 16 << 20  # bytes of a message
STATUSES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}  # the rest is INVALID_ARGUMENT: a 4xx
# A parameter of this protocol is a truth value, a whole number or a string. These are written as strings.
FRACTIONS = tuple(name for name, field in Sampling.model_fields.items() if field.annotation is float)
OPEN = ("ServerLive", "ServerReady")  # need no key, as over HTTP


def answered(method: Callable[["Servicer", Any], Awaitable[Any]]) -> Callable[["Servicer", Any, Any], Awaitable[Any]]:
    """A call of the protocol: an error ends it with a status and one line."""
    call = method.__name__

    async def handle(self: "Servicer", asked: Any, context: Any) -> Any:
        given = dict(context.invocation_metadata() or ())
        request_id.adopt(str(given.get("x-request-id", "")))
        begin, status = time.monotonic(), 500
        try:
            if self.keys and call not in OPEN and not is_known(str(given.get("authorization", "")), self.keys):
                raise RequestError(401, "a key is needed: send authorization: Bearer KEY", code="invalid_api_key")
            answer = await method(self, asked)
            status = 200
            return answer
        except RequestError as error:
            status = error.status
            code = STATUSES.get(status, grpc.StatusCode.INVALID_ARGUMENT)
            await context.abort(code, error.message)
        except asyncio.CancelledError:
            status = metrics.CLIENT_GONE
            raise
        except Exception:
            logger.exception("%s", call)
            await context.abort(grpc.StatusCode.INTERNAL, f"{call} failed here: see the server's log")
        finally:
            if call not in OPEN:
                metrics.REQUESTS.labels(status).inc()
                metrics.SECONDS.observe(time.monotonic() - begin)

    return handle


class Servicer(grpc_predict_v2_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc] # has no types
    """Answers each call of the protocol."""

    def __init__(self, plane: TextPlane, repository: Repository, keys: Sequence[str]) -> None:
        self.plane = plane
        self.repository = repository
        self.keys = keys

    @answered
    async def ServerLive(self, asked: Any) -> Any:
        return pb.ServerLiveResponse(live=True)

    @answered
    async def ServerReady(self, asked: Any) -> Any:
        return pb.ServerReadyResponse(ready=await self.plane.ready())

    @answered
    async def ServerMetadata(self, asked: Any) -> Any:
        told = self.plane.metadata()
        return pb.ServerMetadataResponse(name=told["name"], version=told["version"], extensions=told["extensions"])

    @answered
    async def ModelReady(self, asked: Any) -> Any:
        return pb.ModelReadyResponse(ready=await self.plane.model_ready(_name(asked.name, asked.version)))

    @answered
    async def ModelMetadata(self, asked: Any) -> Any:
        told = await self.plane.model_metadata(_name(asked.name, asked.version))
        fields = ("name", "versions", "platform", "inputs", "outputs")
        return pb.ModelMetadataResponse(**{key: told[key] for key in fields})

    @answered
    async def ModelInfer(self, asked: Any) -> Any:
        try:
            read = InferRequest.from_grpc(asked)
        except (*MALFORMED, InvalidInput, TypeError, LookupError, AttributeError) as error:
            raise RequestError(400, f"inputs: not as the protocol has it: {error}", "inputs") from None
        read.parameters = _parameters(to_http_parameters(asked.parameters))
        answer, _ = await self.plane.infer(_name(asked.model_name, asked.model_version), read)
        return answer.to_grpc()

    @answered
    async def RepositoryModelLoad(self, asked: Any) -> Any:
        await self.repository.load(asked.model_name)
        return pb.RepositoryModelLoadResponse(model_name=asked.model_name, isLoaded=True)

    @answered
    async def RepositoryModelUnload(self, asked: Any) -> Any:
        await self.repository.unload(asked.model_name)
        return pb.RepositoryModelUnloadResponse(model_name=asked.model_name, isUnloaded=True)


async def start(models: Models, keys: Sequence[str], host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Answer on host:port; returns what ends it: no new call is taken, and what runs is finished. Raises MynahError."""
    server = aio.server(
        options=[
            ("grpc.max_send_message_length", LARGEST),
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.so_reuseport", 0),  # a port in use is an error
        ]
    )
    servicer = Servicer(TextPlane(models), Repository(models), keys)
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        raise MynahError(f"cannot listen on {host}:{port}: end what uses it, or choose another --grpc-port") from None
    await server.start()
    logger.info("gRPC at %s:%d", host, port)

    async def end() -> None:
        await server.stop(DRAIN_SECONDS)

    return end


def _name(name: str, version: str) -> str:
    return versioned(name, version or None)


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    for name in FRACTIONS:
        if isinstance(given.get(name), str):
            try:
                given[name] = float(given[name])
            except ValueError:
                raise RequestError(400, f"{name}: a number is needed, not {given[name]}", name) from None
    return given
