"""What KServe's routes learn of the models: whether they are ready, and that they stay."""

import httpx

from tests.serving.model.conftest import NAME, Server
from tests.serving.model.kserve_client import ask


def test_ready(server: Server) -> None:
    assert ask("v1", lambda client: client.is_server_live(server.url))
    assert ask("v2", lambda client: client.is_server_ready(server.url))
    assert ask("v1", lambda client: client.is_model_ready(server.url, NAME))
    assert ask("v2", lambda client: client.is_model_ready(server.url, NAME))


def test_nobody_can_unload_the_model(server: Server) -> None:
    assert server.post(f"/v2/repository/models/{NAME}/unload", {}).status_code == 501
    assert httpx.get(f"{server.url}/v2/models/{NAME}/ready").is_success


def test_a_text_model_explains_nothing(server: Server) -> None:
    response = server.post(f"/v1/models/{NAME}:explain", {"instances": ["a"]})
    assert response.status_code == 404  # not 501: it is the client's, and nobody is to be paged
    assert response.json()["error"].startswith(f"{NAME} has no explainer")
