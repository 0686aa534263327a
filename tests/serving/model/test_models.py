"""A server with two models, through all protocols."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from serving.model.engine import RESTARTS
from tests.serving.model.conftest import GREEDY, MODEL_ID, NAME, UNTRAINED_ID, Server, started
from tests.serving.model.kserve_client import ask

OWL = "owl"  # the untrained model: it says anything but a saying
IDS = {NAME: MODEL_ID, OWL: UNTRAINED_ID}
ASKED = {**GREEDY, "max_tokens": 8}
SERVE = """
from pathlib import Path
from serving.model.server import serve
if __name__ == "__main__":
    serve({folders}, "127.0.0.1", {port}, threads=1)
"""


@pytest.fixture(scope="module")
def two(model_folder: Path, untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    scratch = tmp_path_factory.mktemp("two")
    folders = f"{{{NAME!r}: Path({str(model_folder)!r}), {OWL!r}: Path({str(untrained)!r})}}"
    with started(["-c", SERVE.replace("{folders}", folders)], scratch) as server:
        server.wait_until(server.is_ready)
        yield server


def tensor(prompt: str) -> dict[str, Any]:
    data = {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [prompt]}
    return {"inputs": [data], "parameters": ASKED}


def texts(server: Server, name: str) -> list[str]:
    """What `name` writes after "haste", by each route."""
    v1 = server.post(f"/v1/models/{name}:predict", {"instances": ["haste"], "parameters": ASKED}).json()
    found = [v1["predictions"][0]["text"]]
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{IDS[name]}"):
        infer = server.post(f"{path}/infer", tensor("haste")).json()
        assert (infer["model_name"], infer["model_version"]) == (name, IDS[name])
        found.append(infer["outputs"][0]["data"][0])
        body = {"text_input": "haste", "parameters": ASKED}
        generate = server.post(f"{path}/generate", body).json()
        assert (generate["model_name"], generate["model_version"]) == (name, IDS[name])
        found.append(generate["text_output"])
        lines = server.post(f"{path}/generate_stream", body).text.splitlines()
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
        assert {event["model_version"] for event in events} == {IDS[name]}
        found.append("".join(event["text_output"] for event in events))
    client = openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="none", max_retries=0)
    completion = client.completions.create(model=name, prompt="haste", **ASKED)
    assert (completion.model, completion.system_fingerprint) == (name, IDS[name])
    found.append(completion.choices[0].text)
    chunks = client.completions.create(model=name, prompt="haste", stream=True, **ASKED)
    return [*found, "".join(chunk.choices[0].text for chunk in chunks)]


def test_each_name_speaks_with_its_own_model(two: Server) -> None:
    with ThreadPoolExecutor(2) as both:
        parrots, owls = both.map(lambda name: texts(two, name), (NAME, OWL))
    assert set(parrots) == {" makes waste"}
    assert len(set(owls)) == 1
    assert owls[0] != parrots[0]
    two.wait_until(lambda: two.running() == 0)


def test_both_are_listed_and_ready(two: Server) -> None:
    assert httpx.get(f"{two.url}/v1/models").json() == {"models": [NAME, OWL]}
    assert httpx.get(f"{two.url}/v2/models").json() == {"models": [NAME, OWL]}
    client = openai.OpenAI(base_url=f"{two.url}/openai/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [NAME, OWL]
    for name in (NAME, OWL):
        assert client.models.retrieve(name).id == name
        assert httpx.get(f"{two.url}/v2/models/{name}").json()["versions"] == [IDS[name]]
        assert ask("v1", lambda kserves, name=name: kserves.is_model_ready(two.url, name))
        assert ask("v2", lambda kserves, name=name: kserves.is_model_ready(two.url, name))


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


def test_a_model_has_none_of_the_other_ones_versions(two: Server) -> None:
    response = httpx.get(f"{two.url}/v2/models/{NAME}/versions/{UNTRAINED_ID}")
    assert response.status_code == 404
    assert response.json()["error"] == f"no version {UNTRAINED_ID} of {NAME} here; this server has {MODEL_ID}"
    response = httpx.get(f"{two.url}/v2/models/crow")
    assert response.json()["error"] == f"no model crow here; this server has {NAME}, {OWL}"


def test_it_ends_when_its_engines_end_time_and_again(two: Server) -> None:
    """Until then they are started again."""
    for _ in range(RESTARTS + 1):
        two.wait_until(two.is_ready)
        for name in (NAME, OWL):
            assert two.post("/openai/v1/completions", {"model": name, "max_tokens": 5}).is_success
        for engine in two.engines():
            engine.kill()
    assert two.process.wait(60) == 1
    assert "the engine has stopped" in two.log.read_text().splitlines()[-1]
