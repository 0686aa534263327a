"""KServe's protocol V1, through KServe's own client and plain HTTP."""

import json
from typing import Any

import httpx
import pytest

from tests.serving.model.conftest import CONTEXT, GREEDY, NAME, SAYINGS, Server
from tests.serving.model.kserve_client import ask

PREDICT = f"/v1/models/{NAME}:predict"


def test_predict(server: Server) -> None:
    body = {"instances": ["still waters", {"prompt": "haste", "n": 2, "max_tokens": 2}, {}], "parameters": GREEDY}
    answer = ask("v1", lambda client: client.infer(server.url, body, model_name=NAME))
    still, haste, empty = answer["predictions"]
    assert still == {
        "text": " run deep",
        "finish_reason": "stop",
        "texts": [" run deep"],
        "finish_reasons": ["stop"],
    }
    assert haste["finish_reasons"] == ["length", "length"]
    assert haste["text"] == haste["texts"][0] == haste["texts"][1]
    assert " makes waste".startswith(haste["text"])
    assert empty["text"] in SAYINGS


def test_predict_takes_any_json_content_type(server: Server) -> None:
    body = json.dumps({"instances": [""], "parameters": GREEDY})
    # curl -d says the last but one where it is told nothing else.
    for kind in ("application/json; charset=utf-8", "application/ld+json", "application/x-www-form-urlencoded", None):
        response = httpx.post(server.url + PREDICT, content=body, headers={"content-type": kind} if kind else {})
        assert response.json()["predictions"][0]["text"] in SAYINGS


def test_predict_refuses_another_content_type(server: Server) -> None:
    response = httpx.post(server.url + PREDICT, content=b'{"instances": [""]}', headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert response.json() == {"error": "content-type: text/plain is not taken here; send application/json"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"data": {"instances": ["haste"], "parameters": GREEDY}}, "application/cloudevents+json"),
        ({"instances": ["haste"], "parameters": GREEDY}, "application/json"),
    ],
)
def test_predict_takes_cloud_events(server: Server, event: dict[str, Any], kind: str) -> None:
    """In one body, or with its attributes in headers."""
    about = {"id": "1", "source": "test", "type": "ask", "specversion": "1.0", "time": "2026-11-21T09:30:00Z"}
    headers = {f"ce-{name}": value for name, value in about.items()} if "data" not in event else {}
    body = event if headers else about | event
    answer = httpx.post(server.url + PREDICT, json=body, headers={**headers, "content-type": kind}, timeout=60)
    data = answer.json()
    assert (data if headers else data["data"])["predictions"][0]["text"] == " makes waste"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"prompt": "a", "temperature": 9}]}, "temperature: must be at least 0 and at most 2, not 9"),
        ({"instances": ["a"], "parameters": {"top_kk": 1}}, "top_kk: unknown field; did you mean top_k?"),
        ({"instances": []}, "instances: "),
        ({"instances": [3]}, "instances: "),
        ({"inputs": ["a"]}, "instances: field required"),
        ({"instances": [{"n": 128}] * 9}, "n: this request asks for 1152 texts"),
        ({"instances": ["haste", "tick tock " * 2000]}, f"prompt: 20001 tokens, and the model's context is {CONTEXT}"),
        ([1], "the body is not a JSON object, but a list"),
        ("a", "the body is not a JSON object, but a string"),
    ],
)
def test_predict_names_a_bad_field(server: Server, body: Any, message: str) -> None:
    response = server.post(PREDICT, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(message)


@pytest.mark.parametrize("body", [b"{", b'{"instances": ["\xff"]}'])
def test_predict_refuses_what_is_not_json(server: Server, body: bytes) -> None:
    response = httpx.post(server.url + PREDICT, content=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("the body is not JSON: ")
