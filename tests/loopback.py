"""Real HTTP servers on loopback, for a test's time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette

AnyServer = TypeVar("AnyServer", bound=ThreadingHTTPServer)


@contextmanager
def served_by(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Have `handler` answer on a free port; yields the address."""
    # Or an answer sent in two parts waits 40 ms for the client's acknowledgement of the first.
    handler.disable_nagle_algorithm = True
    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def at_work(server: AnyServer) -> Iterator[AnyServer]:
    """Have a server answer, in a thread, and close it at the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # seconds until it sees its end
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def app_served(application: Starlette) -> Iterator[str]:
    """Have an ASGI application answer on a free port; yields the address."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True  # do not wait for connections that a client keeps open
        thread.join()
