"""The Open Inference Protocol V2, through KServe's own client and plain HTTP."""

from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest

from tests.serving.model.conftest import CONTEXT, GREEDY, MODEL_ID, NAME, SAYINGS, Server, Validate
from tests.serving.model.kserve_client import ask

MODEL = f"/v2/models/{NAME}"
INFER = f"{MODEL}/infer"
# The JSON of a request whose tensor, of 5 bytes, follows it.
BINARY = b'{"inputs":[{"name":"prompt","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}]}'


def tensor(prompts: list[str], **parameters: Any) -> dict[str, Any]:
    data = {"name": "prompt", "shape": [len(prompts)], "datatype": "BYTES", "data": prompts}
    return {"inputs": [data], "parameters": parameters}


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
        (tensor(["tick tock " * 2000]), f"prompt: 20001 tokens, and the model's context is {CONTEXT}"),
        ([1], "the body is not a JSON object, but a list"),
        ({}, "inputs: field required"),
        ({"inputs": [{"name": "prompt", "datatype": "BYTES", "data": ["a"]}]}, "inputs.0.shape: field required"),
        (tensor(["a"]) | {"parameters": []}, "parameters: input should be a valid dictionary"),
    ],
)
def test_infer_names_what_is_wrong(server: Server, validate: Validate, body: Any, message: str) -> None:
    response = server.post(INFER, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(message)
    validate(response.json(), "open_inference_rest.yaml", "inference_error_response")


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b'{"inputs":', {"content-type": "application/json"}, 400, "the body is not JSON: "),
        (b"{}", {"content-type": "text/csv"}, 415, "content-type: text/csv is not taken here"),
        (b"{}", {"content-type": "application/octet-stream"}, 415, "content-type: application/octet-stream is not"),
        (b"{}", {"inference-header-content-length": "two"}, 400, "inputs: not as the protocol has it: "),
        (b"{}", {"inference-header-content-length": "2"}, 400, "inputs: not as the protocol has it: 'inputs'"),
        (b'{"inputs":[1]}', {"inference-header-content-length": "14"}, 400, "inputs: not as the protocol has it: "),
        (BINARY + b"abcde", {"inference-header-content-length": str(len(BINARY))}, 400, "inputs: "),
        (BINARY + b"a", {"inference-header-content-length": str(len(BINARY))}, 400, "inputs: "),
    ],
)
def test_infer_refuses_a_body_that_it_cannot_read(
    server: Server, validate: Validate, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    response = httpx.post(server.url + INFER, content=body, headers=headers)
    assert response.status_code == status
    assert response.json()["error"].startswith(message)
    validate(response.json(), "open_inference_rest.yaml", "inference_error_response")


def test_a_model_has_one_version(server: Server, validate: Validate) -> None:
    version = f"{server.url}{MODEL}/versions/{MODEL_ID}"
    assert httpx.get(version).json() == httpx.get(server.url + MODEL).json()
    assert httpx.get(f"{version}/ready").json() == {"name": NAME, "ready": True}
    answer = httpx.post(f"{version}/infer", json=tensor(["haste"], **GREEDY), timeout=60).json()
    assert answer["outputs"][0]["data"] == [" makes waste"]
    other = f"{server.url}{MODEL}/versions/1"
    body = tensor(["haste"])
    for response in (httpx.get(other), httpx.get(f"{other}/ready"), httpx.post(f"{other}/infer", json=body)):
        assert response.status_code == 404
        assert response.json() == {"error": f"no version 1 of {NAME} here; this server has {MODEL_ID}"}


def test_a_route_that_is_not_there(server: Server) -> None:
    response = httpx.get(f"{server.url}/v2/nowhere")
    assert (response.status_code, response.json()) == (404, {"error": "GET /v2/nowhere: not found"})
    response = httpx.get(server.url + INFER)
    assert (response.status_code, response.json()) == (405, {"error": f"GET {INFER}: method not allowed"})


def test_metadata_tells_which_model_serves(server: Server, validate: Validate) -> None:
    metadata = httpx.get(f"{server.url}/v2/models/{NAME}").json()
    assert metadata["versions"] == [MODEL_ID]
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["prompt"]
    validate(metadata, "open_inference_rest.yaml", "metadata_model_response")
    validate(httpx.get(f"{server.url}/v2").json(), "open_inference_rest.yaml", "metadata_server_response")
