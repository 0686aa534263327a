"""`mynah serve`: one model from its folder, over HTTP, until told to end.

KServe's REST server and routes with ours beside them. `kserve.ModelServer.start` itself is not used: it binds all
addresses of the machine, and does not start before the model is ready, so that clients would see a refused
connection where they should read "warming up".
"""

import asyncio
import logging
import logging.config
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mynah.errors import MynahError
from serving.model.engine import Engine
from serving.model.errors import RequestError
from serving.model.folder import ServedModel, read_model
from serving.model.transport import Server, listen

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

logger = logging.getLogger("serving")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"serving": {"level": "INFO"}},
}


def serve(name: str, folder: Path, host: str, port: int) -> None:
    """Serve the model in `folder` as `name` on host:port until SIGTERM or SIGINT, then finish what runs.

    Answers "warming up" (503) until the model has answered a first request of the server's own. Raises MynahError
    where the folder is not whole, the port is taken, the model cannot be loaded, or its engine ends unasked.
    """
    begin = time.monotonic()
    served = read_model(name, folder)
    listener = listen(host, port)
    logging.config.dictConfig(LOGGING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both raise KeyboardInterrupt, until uvicorn takes over
    engine = Engine(served.openvino, served.context)
    try:
        asyncio.run(_run(served, engine, listener, begin))
    except KeyboardInterrupt:
        pass
    finally:
        engine.stop()
    logger.info("ended")


async def _run(served: ServedModel, engine: Engine, listener: socket.socket, begin: float) -> None:
    """Answer requests until a signal comes, or the engine ends: then MynahError."""
    imports = time.monotonic()
    app = _application(served, engine)
    logger.info("importing KServe: %.2f s", time.monotonic() - imports)
    server = Server(app)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def on_ready() -> None:
        logger.info("ready after %.2f s: %s (%s) at %s", time.monotonic() - begin, served.name, served.id, address)

    def on_end() -> None:
        server.should_exit = True

    engine.attach(on_ready, on_end)
    await server.serve(sockets=[listener])
    if engine.reason:
        remedy = f"start the server again, or run mynah train {served.name} for a new model"
        raise MynahError(f"{served.openvino}: the engine has stopped: {engine.reason}; {remedy}")


def _application(served: ServedModel, engine: Engine) -> "FastAPI":
    """KServe's application with its own routes and ours."""
    warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's choice
    # kserve.model_server reads the command line when it is imported, and would take flags of ours for its own.
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        from kserve.model_server import app
    finally:
        sys.argv = arguments
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer

    from serving.model.disconnect import CancelOnDisconnect
    from serving.model.generate import generate_routes
    from serving.model.metrics import Measured
    from serving.model.openai import openai_routes
    from serving.model.predict import OneModelPlane, OneModelRepository, TextModel

    repository = OneModelRepository()
    model = TextModel(served, engine)
    repository.update(model)
    plane = OneModelPlane(repository, model)
    app.include_router(generate_routes(served, engine))
    app.include_router(openai_routes(served, engine))
    app.add_exception_handler(RequestError, _refuse)
    app.add_middleware(CancelOnDisconnect)
    app.add_middleware(Measured)
    RESTServer("kserve.model_server:app", plane, ModelRepositoryExtension(repository), 0).create_application()
    return app


async def _refuse(request: "Request", error: Exception) -> "Response":
    """FastAPI's handler of RequestError."""
    from fastapi.responses import JSONResponse

    if not isinstance(error, RequestError):
        raise error
    openai = request.url.path.startswith("/openai/")
    return JSONResponse(error.openai_body() if openai else error.kserve_body(), status_code=error.status)
