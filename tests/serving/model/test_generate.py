"""The generate extension of the Open Inference Protocol."""

import json
from typing import Any

import httpx
import pytest

from tests.serving.model.conftest import CONTEXT, GREEDY, MODEL_ID, NAME, SAYINGS, Server, Validate

GENERATE = f"/v2/models/{NAME}/generate"


@pytest.mark.parametrize("path", [GENERATE, f"/v2/models/{NAME}/versions/{MODEL_ID}/generate"])
def test_generate(server: Server, validate: Validate, path: str) -> None:
    answer = server.post(path, {"text_input": "the early bird", "parameters": GREEDY}).json()
    assert answer == {"text_output": " catches the worm 🐛", "model_name": NAME, "model_version": MODEL_ID}
    validate(answer, "generate_rest.yaml", "GenerateResponse")


@pytest.mark.parametrize(
    ("parameters", "finish_reason"),
    [({}, "eos_token"), ({"max_tokens": 2}, "length"), ({"stop": "l"}, "stop_sequence")],
)
def test_generate_with_details(
    server: Server, validate: Validate, parameters: dict[str, Any], finish_reason: str
) -> None:
    body = {"text_input": "many hands", "parameters": GREEDY | {"details": True} | parameters}
    answer = server.post(GENERATE, body).json()
    validate(answer, "generate_rest.yaml", "GenerateResponse")
    details = answer["details"]
    assert details["finish_reason"] == finish_reason
    written = "".join(token["text"] for token in details["logprobs"] if not token["special"])
    assert written.startswith(answer["text_output"])
    assert [token["special"] for token in details["logprobs"]][-1] == (finish_reason == "eos_token")
    assert all(token["logprob"] <= 0 for token in details["logprobs"])


def test_generate_stream(server: Server, validate: Validate) -> None:
    body = {"text_input": "", "parameters": GREEDY | {"details": True}}
    with httpx.stream("POST", f"{server.url}{GENERATE}_stream", json=body, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert "".join(event["text_output"] for event in events) in SAYINGS
    assert len(events) > 2
    for event in events:
        validate(event, "generate_rest.yaml", "GenerateStreamResponse")
    assert events[-1]["details"]["finish_reason"] == "eos_token"


@pytest.mark.parametrize("route", [GENERATE, f"{GENERATE}_stream"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text_input": "a", "parameters": {"top_p": 2}}, "top_p: must be at least 0 and at most 1, not 2"),
        ({"text_input": "a", "parameters": {"n": 2}}, "n: "),
        ({"text_input": "a", "parameters": 1}, "parameters: must be an object"),
        ({}, "text_input: field required"),
        ({"text_input": "tick tock " * 2000}, f"prompt: 20001 tokens, and the model's context is {CONTEXT}"),
    ],
)
def test_generate_names_what_is_wrong(server: Server, validate: Validate, route: str, body: Any, message: str) -> None:
    response = server.post(route, body)
    assert response.status_code == 422  # the specification's
    assert response.json()["error"].startswith(message)
    validate(response.json(), "generate_rest.yaml", "GenerateErrorResponse")


@pytest.mark.parametrize("route", [GENERATE, f"{GENERATE}_stream"])
def test_generate_refuses_another_content_type(server: Server, route: str) -> None:
    response = httpx.post(server.url + route, content=b'{"text_input": "a"}', headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert response.json()["error"].startswith("content-type: text/plain")
