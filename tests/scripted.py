"""A model server that answers what a test says."""

import contextlib
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.loopback import at_work

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Server(ThreadingHTTPServer):
    """Gives the answers of `script` in turn, the last one for ever: status; JSON, bytes or a stream of them; headers.

    None hangs up.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer | Callable[[dict[str, Any]], Answer] | None] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        self.server.asked.append(body)
        answer = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        if callable(answer):
            answer = answer(body)
        if answer is None:
            return
        status, said, *headers = answer
        if isinstance(said, Generator):
            self._stream(status, said)
            return
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in (headers[0] if headers else {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    do_POST = do_GET

    def _stream(self, status: int, pieces: Generator[bytes]) -> None:
        """Until the client hangs up: then `pieces` is closed."""
        self.send_response(status)
        self.end_headers()
        with contextlib.suppress(OSError), contextlib.closing(pieces):
            for piece in pieces:
                self.wfile.write(piece)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def scripted() -> Iterator[Server]:
    """A server on a free port of loopback."""
    with at_work(Server()) as server:
        yield server


def choices(*texts: str | None) -> Answer:
    """Completions as OpenAI's API answers them."""
    return 200, {"choices": [{"text": text, "finish_reason": "stop"} for text in texts]}
