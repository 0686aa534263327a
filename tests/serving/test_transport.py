"""How a server takes connections, and how it lets them go."""

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.model.no_model import MARK
from serving.transport import listen
from tests.serving.model.conftest import NAME, Server, running
from tests.serving.model.kept_alive import Clients

REQUEST = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """What answers before a bot has a model: the same server below, and it starts at once."""
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / MARK).touch()
    with running(folder, tmp_path) as server:
        server.wait_until(server.is_ready)
        yield server


def drains(server: Server) -> bool:
    return httpx.get(f"{server.url}/v2/health/live").headers.get("connection") == "close"


def answer(connection: socket.socket) -> bytes:
    """The whole answer to one REQUEST."""
    data = b""
    while not data.endswith(b"}"):
        more = connection.recv(4096)
        assert more, f"closed without an answer: {data!r}"
        data += more
    return data


@pytest.mark.parametrize("round", range(3))
def test_no_request_is_lost_on_a_connection_that_was_open(server: Server, round: int) -> None:
    clients = Clients()
    clients.start(server.url, {"model": NAME, "prompt": ""}, [0.02, 0.2, 1.0])
    threading.Event().wait(random.uniform(0, 0.5))
    server.process.terminate()
    clients.join()
    assert clients.lost == []
    assert clients.left == 9
    server.process.wait(30)


def test_an_idle_connection_is_let_go_by_an_answer(server: Server) -> None:
    port = httpx.URL(server.url).port or 0
    with socket.create_connection(("127.0.0.1", port)) as asked, socket.create_connection(("127.0.0.1", port)) as fresh:
        asked.sendall(REQUEST)
        assert b"connection: close" not in answer(asked)
        server.process.terminate()
        server.wait_until(lambda: drains(server))
        for connection in (asked, fresh):
            connection.sendall(REQUEST)
            assert b"connection: close" in answer(connection)
            assert connection.recv(1) == b""
        server.process.wait(30)


def test_answers_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio asks before it sets TCP_NODELAY
