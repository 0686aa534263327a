"""What a bot's address answers before its first model."""

from starlette.testclient import TestClient

from serving.model.no_model import application


def test_a_bot_without_a_model_is_ready_and_says_what_to_do() -> None:
    client = TestClient(application("demo"))
    assert client.get("/v2/health/ready").status_code == 200
    for answer in (client.get("/v2/models/demo"), client.post("/v1/models/demo:predict", json={})):
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("demo has no model yet: `mynah train demo")
    error = client.post("/openai/v1/completions", json={}).json()["error"]
    assert error["message"].startswith("demo has no model yet")
