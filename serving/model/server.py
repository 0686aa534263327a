"""`mynah serve`: models from their folders, over HTTP, until told to end.

KServe's routes with ours beside them. `kserve.ModelServer` itself is not used: it binds all addresses of the machine,
and does not listen before the models are ready, so that clients would see a refused connection where they should read
"warming up".
"""

import asyncio
import contextlib
import logging
import logging.config
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from mynah.errors import MynahError
from serving.logs import LOGGING
from serving.model.errors import RequestError, refusal
from serving.model.models import Models
from serving.request_id import Identified
from serving.transport import Server, listen

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

logger = logging.getLogger("serving")


def serve(
    start: Callable[[], Models],
    host: str,
    port: int,
    grpc_port: int | None = None,
    quiet: bool = False,
    keys: Sequence[str] = (),
) -> None:
    """Serve the models that `start` begins with on host:port until SIGTERM or SIGINT, then finish what runs.

    With `grpc_port`, gRPC is spoken there. Until one can answer, clients read "warming up" (503). `quiet` logs warnings
    and errors only. With `keys`, whoever brings none of them is sent away. Raises MynahError where a port is taken,
    `start` does, or the models are of no more use.
    """
    listener = listen(host, port)
    logging.config.dictConfig(LOGGING)
    if quiet:
        logger.setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both raise KeyboardInterrupt, until uvicorn takes over
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as at_end:
        models = start()
        at_end.callback(models.stop)
        asyncio.run(_run(models, listener, grpc_port, keys))
    logger.info("ended")


async def _run(models: Models, listener: socket.socket, grpc_port: int | None, keys: Sequence[str]) -> None:
    """Answer requests until a signal comes, or the models are of no more use: then MynahError."""
    begin = time.monotonic()
    app = _application(models, keys)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    logger.info("importing KServe: %.2f s; listening at %s", time.monotonic() - begin, address)
    server = Server(app)

    def end() -> None:
        server.should_exit = True

    models.attach(end)
    if grpc_port is not None:
        from serving.model import grpc_server

        server.draining.append(await grpc_server.start(models, keys, host, grpc_port))
    await server.serve(sockets=[listener])
    if models.failure:
        raise MynahError(models.failure)


def _application(models: Models, keys: Sequence[str]) -> "FastAPI":
    """KServe's application with its own routes and ours."""
    warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's choice
    # kserve.model_server reads the command line when it is imported, and would take flags of ours for its own.
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve.model_server
    finally:
        sys.argv = arguments
    from kserve.errors import InvalidInput
    from kserve.protocol.rest.server import RESTServer
    from kserve.protocol.rest.v2_endpoints import V2Endpoints
    from starlette.exceptions import HTTPException

    from serving.model.chat import chat_routes
    from serving.model.dataplane import TextPlane
    from serving.model.disconnect import CancelOnDisconnect
    from serving.model.generate import generate_routes
    from serving.model.keys import Guarded
    from serving.model.metrics import Measured
    from serving.model.openai import openai_routes
    from serving.model.openapi import document
    from serving.model.repository import Repository, repository_routes
    from serving.model.v2 import v2_routes

    app: FastAPI = kserve.model_server.app
    plane = TextPlane(models)
    repository = Repository(models)
    # Before KServe's, which hold some of the same paths.
    app.include_router(generate_routes(models))
    app.include_router(openai_routes(models))
    app.include_router(chat_routes(models))
    app.include_router(v2_routes(V2Endpoints(plane)))
    app.include_router(repository_routes(repository))
    app.add_middleware(CancelOnDisconnect)
    if keys:
        app.add_middleware(Guarded, keys=keys)
    app.add_middleware(Measured)
    app.add_middleware(Identified)
    RESTServer("kserve.model_server:app", plane, repository, 0).create_application()
    document(app)
    for kind in (RequestError, HTTPException, InvalidInput):  # the last two are FastAPI's and KServe's
        app.add_exception_handler(kind, _refuse)
    return app


async def _refuse(request: "Request", error: Exception) -> "Response":
    """FastAPI's handler of errors that are the client's."""
    from starlette.exceptions import HTTPException

    if isinstance(error, RequestError):
        return refusal(request, error)
    if isinstance(error, HTTPException):  # Starlette's own: no such path, or not this method
        status = HTTPStatus(error.status_code)
        known = RequestError(status, f"{request.method} {request.url.path}: {status.phrase.lower()}")
        return refusal(request, known, error.headers)
    return refusal(request, RequestError(400, str(error)))
