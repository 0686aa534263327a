"""A server that answers what a test says."""

import contextlib
import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Scripted(ThreadingHTTPServer):
    """Answers with `answer(method, path)`: status, JSON or bytes, headers; None hangs up without an answer."""

    daemon_threads = True
    answer: Callable[[str, str], Answer | None]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.host = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with contextlib.suppress(ValueError):
            self.server.bodies.append(json.loads(body))
        self.server.asked.append(f"{self.command} {self.path}")
        answer = self.server.answer(self.command, self.path)
        if answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, body, *headers = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers[0] if headers else {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have gone
            self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...
