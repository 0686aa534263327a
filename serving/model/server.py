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
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from mynah.errors import MynahError
from serving.model.engine import QUEUE, Engine
from serving.model.errors import RequestError
from serving.model.folder import ServedModel, read_model
from serving.model.models import Models, TextModel
from serving.model.process import CACHE_GB
from serving.model.request_id import Identified, WithRequestId
from serving.model.transport import Server, listen

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

logger = logging.getLogger("serving")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": WithRequestId}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(request_id)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"serving": {"level": "INFO"}},
}


def serve(
    folders: Mapping[str, Path],
    host: str,
    port: int,
    threads: int | None = None,
    cache_gb: int = CACHE_GB,
    queue: int = QUEUE,
    quiet: bool = False,
) -> None:
    """Serve the models in `folders` (name → folder) on host:port until SIGTERM or SIGINT, then finish what runs.

    Each model has an engine of its own, with `threads`, `cache_gb` and `queue` as in Engine. Until it has answered a
    first request of the server's, clients read "warming up" (503). `quiet` logs warnings and errors only. Raises
    MynahError where a folder is not whole, the port is taken, a model cannot be loaded, or an engine ends time and
    again.
    """
    begin = time.monotonic()
    folder_models = [read_model(name, folder) for name, folder in folders.items()]
    listener = listen(host, port)
    logging.config.dictConfig(LOGGING)
    if quiet:
        logger.setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both raise KeyboardInterrupt, until uvicorn takes over
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as engines:
        models = {}
        for served in folder_models:
            engine = Engine(served.name, served.openvino, served.context, threads, cache_gb, queue)
            engines.callback(engine.stop)
            models[served.name] = TextModel(served, engine)
        asyncio.run(_run(models, listener, begin))
    logger.info("ended")


async def _run(models: Models, listener: socket.socket, begin: float) -> None:
    """Answer requests until a signal comes, or an engine ends: then MynahError."""
    imports = time.monotonic()
    app = _application(models)
    logger.info("importing KServe: %.2f s", time.monotonic() - imports)
    server = Server(app)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def ready(served: ServedModel) -> Callable[[], None]:
        return lambda: logger.info(
            "ready after %.2f s: %s (%s) at %s", time.monotonic() - begin, served.name, served.id, address
        )

    def on_end() -> None:
        server.should_exit = True

    for model in models.values():
        model.engine.attach(ready(model.served), on_end)
    await server.serve(sockets=[listener])
    for model in models.values():
        if reason := model.engine.reason:
            remedy = f"start the server again, or run mynah train {model.served.name} for a new model"
            raise MynahError(f"{model.served.openvino}: the engine has stopped: {reason}; {remedy}")


def _application(models: Models) -> "FastAPI":
    """KServe's application with its own routes and ours."""
    warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's choice
    # kserve.model_server reads the command line when it is imported, and would take flags of ours for its own.
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve.model_server
    finally:
        sys.argv = arguments
    from kserve.errors import InvalidInput
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer
    from kserve.protocol.rest.v2_endpoints import V2Endpoints
    from starlette.exceptions import HTTPException

    from serving.model.dataplane import TextPlane, TextRepository
    from serving.model.disconnect import CancelOnDisconnect
    from serving.model.generate import generate_routes
    from serving.model.metrics import Measured
    from serving.model.openai import openai_routes
    from serving.model.v2 import v2_routes

    app: FastAPI = kserve.model_server.app
    repository = TextRepository(models)
    plane = TextPlane(models, repository)
    # Before KServe's, which hold some of the same paths.
    app.include_router(generate_routes(models))
    app.include_router(openai_routes(models))
    app.include_router(v2_routes(models, V2Endpoints(plane)))
    app.add_middleware(CancelOnDisconnect)
    app.add_middleware(Measured)
    app.add_middleware(Identified)
    RESTServer("kserve.model_server:app", plane, ModelRepositoryExtension(repository), 0).create_application()
    for kind in (RequestError, HTTPException, InvalidInput):  # the last two are FastAPI's and KServe's
        app.add_exception_handler(kind, _refuse)
    return app


async def _refuse(request: "Request", error: Exception) -> "Response":
    """FastAPI's handler of errors that are the client's, in the form of the protocol that it speaks."""
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    headers: Mapping[str, str] | None = None
    if isinstance(error, HTTPException):
        # Starlette's own: no such path, or not this method.
        path, status, headers = request.url.path, HTTPStatus(error.status_code), error.headers
        error = RequestError(status, f"{request.method} {path}: {status.phrase.lower()}")
    elif not isinstance(error, RequestError):
        error = RequestError(400, str(error))
    elif error.retry_after is not None:
        headers = {"retry-after": str(error.retry_after)}
    openai = request.url.path.startswith("/openai/")
    return JSONResponse(error.openai_body() if openai else error.kserve_body(), error.status, headers)
