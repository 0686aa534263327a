"""KServe V1, Open Inference Protocol V2 and its generate extension, through KServe's own client and plain HTTP."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

from tests.serving.model.conftest import GREEDY, MODEL_ID, NAME, SAYINGS, Server, Validate

T = TypeVar("T")
INFER = f"/v2/models/{NAME}/infer"
PREDICT = f"/v1/models/{NAME}:predict"
GENERATE = f"/v2/models/{NAME}/generate"


def ask(protocol: str, question: Callable[[InferenceRESTClient], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        async with InferenceRESTClient(RESTConfig(protocol=protocol, timeout=60)) as client:
            return await question(client)

    return asyncio.run(main())


def tensor(prompts: list[str], **parameters: Any) -> dict[str, Any]:
    data = {"name": "prompt", "shape": [len(prompts)], "datatype": "BYTES", "data": prompts}
    return {"inputs": [data], "parameters": parameters}


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
    for kind in ("application/json; charset=utf-8", "text/plain"):
        response = httpx.post(server.url + PREDICT, content=body, headers={"content-type": kind})
        assert response.json()["predictions"][0]["text"] in SAYINGS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"prompt": "a", "temperature": 9}]}, "temperature: must be at least 0 and at most 2, not 9"),
        ({"instances": ["a"], "parameters": {"top_kk": 1}}, "top_kk: unknown field; did you mean top_k?"),
        ({"instances": []}, "instances: "),
        ({"instances": [3]}, "instances: "),
        ({"inputs": ["a"]}, "instances: field required"),
        ({"instances": [{"n": 128}] * 9}, "n: this request asks for 1152 texts"),
    ],
)
def test_predict_names_a_bad_field(server: Server, body: Any, message: str) -> None:
    response = server.post(PREDICT, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(message)


@pytest.mark.parametrize("binary", [False, True])
def test_infer_with_kserves_client(server: Server, binary: bool) -> None:
    prompts = InferInput("prompt", [3], "BYTES")
    prompts.set_data_from_numpy(np.array([b"haste", b"", b"the early bird"], dtype=np.object_), binary)
    request = InferRequest(
        NAME, [prompts], request_id="42", parameters={"n": 2, "temperature": 0.0, "binary_data_output": binary}
    )
    response = ask("v2", lambda client: client.infer(server.url, request, model_name=NAME))
    assert response.id == "42"
    text, reason = response.outputs
    assert (text.name, text.shape, text.datatype) == ("text", [6], "BYTES")
    assert text.data[:2] == [" makes waste"] * 2
    assert text.data[2] in SAYINGS
    assert text.data[4:] == [" catches the worm 🐛"] * 2
    assert (reason.name, reason.data) == ("finish_reason", ["stop"] * 6)


def test_infer_is_as_specified(server: Server, validate: Validate) -> None:
    answer = server.post(INFER, tensor(["haste"], **GREEDY)).json()
    assert answer["model_version"] == MODEL_ID
    for part in (answer, *answer["outputs"]):
        assert part.pop("parameters") is None  # KServe writes null where the specification leaves it out
    validate(answer, "open_inference_rest.yaml", "inference_response")
    only = server.post(INFER, tensor(["haste"], **GREEDY) | {"outputs": [{"name": "finish_reason"}]}).json()
    assert [output["name"] for output in only["outputs"]] == ["finish_reason"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (tensor(["a"], max_tokens=0), "max_tokens: must be at least 1"),
        (tensor(["a"], stop=""), "stop: "),
        ({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}, "inputs: one tensor named"),
        ({"inputs": [{"name": "prompt", "shape": [1], "datatype": "INT8", "data": [1]}]}, "inputs: prompt must have"),
        ({"inputs": [{"name": "prompt", "shape": [2], "datatype": "BYTES", "data": ["a"]}]}, "inputs: prompt has the"),
        ({"inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [1]}]}, "inputs: prompt must hold"),
        (tensor([]), "inputs: prompt must hold"),
        (tensor(["a"]) | {"outputs": [{"name": "logits"}]}, "outputs: no output logits"),
    ],
)
def test_infer_names_what_is_wrong(server: Server, validate: Validate, body: Any, message: str) -> None:
    response = server.post(INFER, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(message)
    validate(response.json(), "open_inference_rest.yaml", "inference_error_response")


def test_metadata_tells_which_model_serves(server: Server, validate: Validate) -> None:
    metadata = httpx.get(f"{server.url}/v2/models/{NAME}").json()
    assert metadata["versions"] == [MODEL_ID]
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["prompt"]
    validate(metadata, "open_inference_rest.yaml", "metadata_model_response")
    validate(httpx.get(f"{server.url}/v2").json(), "open_inference_rest.yaml", "metadata_server_response")


def test_ready(server: Server) -> None:
    assert ask("v1", lambda client: client.is_server_live(server.url))
    assert ask("v2", lambda client: client.is_server_ready(server.url))
    assert ask("v1", lambda client: client.is_model_ready(server.url, NAME))
    assert ask("v2", lambda client: client.is_model_ready(server.url, NAME))


def test_nobody_can_unload_the_model(server: Server) -> None:
    assert server.post(f"/v2/repository/models/{NAME}/unload", {}).status_code == 501
    assert httpx.get(f"{server.url}/v2/models/{NAME}/ready").is_success


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
    ],
)
def test_generate_names_what_is_wrong(server: Server, validate: Validate, route: str, body: Any, message: str) -> None:
    response = server.post(route, body)
    assert response.status_code == 422  # the specification's
    assert response.json()["error"].startswith(message)
    validate(response.json(), "generate_rest.yaml", "GenerateErrorResponse")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/owl:predict"),
        ("GET", "/v1/models/owl"),
        ("POST", "/v2/models/owl/infer"),
        ("GET", "/v2/models/owl"),
        ("GET", "/v2/models/owl/ready"),
        ("POST", "/v2/models/owl/generate"),
        ("POST", "/v2/models/owl/generate_stream"),
        ("POST", f"/v2/models/{NAME}/versions/1/generate"),
    ],
)
def test_another_model_is_not_found(server: Server, method: str, path: str) -> None:
    body = {"instances": ["a"], "text_input": "a"} if "infer" not in path else tensor(["a"])
    response = httpx.request(method, f"{server.url}{path}", json=body if method == "POST" else None)
    assert response.status_code == 404
    assert NAME in response.json()["error"]
