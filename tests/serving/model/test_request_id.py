"""Which request it is."""

import re

import httpx
import pytest

from tests.serving.model.conftest import GREEDY, NAME, Server

PATH = "/openai/v1/completions"


def ask(server: Server, path: str = PATH, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json={"model": NAME, "prompt": "haste", **GREEDY}, headers=headers)


def test_a_clients_id_comes_back_and_stands_in_the_log(server: Server) -> None:
    assert ask(server, **{"X-Request-Id": "mine-17"}).headers["x-request-id"] == "mine-17"
    (line,) = (line for line in server.log.read_text().splitlines() if "mine-17" in line)
    assert re.search(r" INFO mine-17 1 texts, \d+ tokens in ", line)


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "caf\u00e9"])
def test_a_request_without_a_usable_id_gets_one(server: Server, given: str) -> None:
    headers = {"X-Request-Id": given.encode("latin-1")} if given else {}
    first, second = (
        httpx.post(f"{server.url}{PATH}", json={"model": NAME, **GREEDY}, headers=headers) for _ in range(2)
    )
    ids = [answer.headers["x-request-id"] for answer in (first, second)]
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)
    assert ids[0] != ids[1]


def test_a_refusal_has_one_too(server: Server) -> None:
    assert ask(server, "/nowhere", **{"X-Request-Id": "lost"}).headers["x-request-id"] == "lost"
