"""A name that a server does not have."""

from typing import Any

import httpx
import pytest

from tests.serving.model.conftest import NAME, Server


def tensor(prompt: str) -> dict[str, Any]:
    data = {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [prompt]}
    return {"inputs": [data]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/crow:predict"),
        ("GET", "/v1/models/crow"),
        ("POST", "/v2/models/crow/infer"),
        ("GET", "/v2/models/crow"),
        ("GET", "/v2/models/crow/ready"),
        ("POST", "/v2/models/crow/generate"),
        ("POST", "/v2/models/crow/generate_stream"),
        ("POST", f"/v2/models/{NAME}/versions/1/generate"),
    ],
)
def test_another_model_is_not_found(server: Server, method: str, path: str) -> None:
    body = {"instances": ["a"], "text_input": "a"} if "infer" not in path else tensor("a")
    response = httpx.request(method, f"{server.url}{path}", json=body if method == "POST" else None)
    assert response.status_code == 404
    assert NAME in response.json()["error"]


def test_a_server_of_one_keeps_it(server: Server) -> None:
    (known,) = httpx.post(f"{server.url}/v2/repository/index").json()
    assert (known["name"], known["state"]) == (NAME, "READY")
    assert httpx.post(f"{server.url}/v2/repository/models/{NAME}/load").json() == {"name": NAME, "load": True}
    assert httpx.post(f"{server.url}/v2/repository/models/{NAME}/unload").status_code == 501
