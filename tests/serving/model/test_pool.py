"""A server of many bots, through all protocols; and what becomes of models that are asked, change, or fail."""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from mynah.database import served
from mynah.database.connection import Connection, connect
from mynah.errors import MynahError
from mynah.settings import Settings
from serving.model.current import Current
from serving.model.errors import RequestError
from serving.model.pool import LOOK
from tests import postgres as databases
from tests.serving.model.conftest import ENDLESS, GREEDY, MODEL_ID, NAME, UNTRAINED_ID, Server, started
from tests.serving.model.kserve_client import ask

OWL = "owl"  # the untrained model: it says anything but a saying
IDS = {NAME: MODEL_ID, OWL: UNTRAINED_ID}
NEXT = "20261123T093000-9d8e7f60"  # an untrained one again, of the parrot
ASKED = {**GREEDY, "max_tokens": 8}


@pytest.fixture(scope="module")
def address(postgres: str) -> Iterator[str]:
    with databases.database(postgres, "pool") as made:
        yield made


@pytest.fixture(scope="module")
def database(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with connect(address, tmp_path_factory.mktemp("home"), "somebody") as connection:
        yield connection


def make_current(connection: Connection, bot: str, id: str) -> None:
    served.carry_out(connection, served.ask(connection, bot, id, "the test").id)


def publish(bucket: Path, folder: Path, bot: str, id: str) -> Path:
    copy = bucket / bot / "models" / id
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(manifest | {"id": id}))
    return copy


@contextlib.contextmanager
def pool(scratch: Path, bucket: Path, database_url: str, *flags: str) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("MYNAH_BUCKET", bucket), ("MYNAH_HOME", scratch / "home"), ("DATABASE_URL", database_url)):
            patch.setenv(name, str(value))
        with started(["-m", "mynah", "serve", "--port", "{port}", "--threads", "1", *flags], scratch) as server:
            server.wait_until(server.is_ready)
            yield server


@pytest.fixture(scope="module")
def bucket(model_folder: Path, untrained: Path, database: Connection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bots with a current model each, and one with none."""
    bucket = tmp_path_factory.mktemp("bucket")
    for bot, folder in ((NAME, model_folder), (OWL, untrained)):
        publish(bucket, folder, bot, IDS[bot])
        make_current(database, bot, IDS[bot])
    publish(bucket, untrained, "egg", UNTRAINED_ID)
    return bucket


@pytest.fixture(scope="module")
def two(bucket: Path, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pool(tmp_path_factory.mktemp("two"), bucket, address, "--all") as server:
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


def test_who_has_a_chat_template_chats(two: Server) -> None:
    client = openai.OpenAI(base_url=f"{two.url}/openai/v1", api_key="none", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "haste"}]
    completion = client.chat.completions.create(model=NAME, messages=messages, **ASKED)
    assert completion.choices[0].message.content == " makes waste"
    message = f"the model {OWL} has no chat template: use /openai/v1/completions"
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match=message) as error:
            client.chat.completions.create(model=OWL, messages=messages, stream=stream, **ASKED)
        assert error.value.param == "model"


def test_both_are_listed_and_ready(two: Server) -> None:
    assert httpx.get(f"{two.url}/v1/models").json() == {"models": [OWL, NAME]}
    assert httpx.get(f"{two.url}/v2/models").json() == {"models": [OWL, NAME]}
    client = openai.OpenAI(base_url=f"{two.url}/openai/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [OWL, NAME]
    for name in (NAME, OWL):
        assert client.models.retrieve(name).id == name
        assert httpx.get(f"{two.url}/v2/models/{name}").json()["versions"] == [IDS[name]]
        assert ask("v1", lambda kserves, name=name: kserves.is_model_ready(two.url, name))
        assert ask("v2", lambda kserves, name=name: kserves.is_model_ready(two.url, name))


def test_a_model_has_none_of_the_other_ones_versions(two: Server) -> None:
    for version in (UNTRAINED_ID, "../../owl", "1"):
        response = httpx.post(f"{two.url}/openai/v1/completions", json={"model": f"{NAME}@{version}"})
        assert response.status_code == 404
        said = f"no version {version} of {NAME} here; this server has {MODEL_ID}"
        assert response.json()["error"]["message"] == said
    for bot in ("crow", "egg"):
        response = httpx.get(f"{two.url}/v2/models/{bot}")
        assert response.json()["error"] == f"no model {bot} here; this server has {OWL}, {NAME}"


def test_the_repository_says_what_is_loaded_and_lets_go(two: Server) -> None:
    def states(body: Any = None) -> dict[str, str]:
        answer = httpx.post(f"{two.url}/v2/repository/index", json=body).json()
        assert all(one["version"] == IDS[one["name"]] for one in answer)
        return {one["name"]: one["state"] for one in answer}

    for verb, state in (("load", "READY"), ("unload", "UNAVAILABLE"), ("unload", "UNAVAILABLE"), ("load", "READY")):
        answer = httpx.post(f"{two.url}/v2/repository/models/{OWL}/{verb}", timeout=60)
        assert answer.json() == {"name": OWL, verb: True}
        assert states()[OWL] == state
        assert (OWL in states({"ready": True})) == (state == "READY")
    assert httpx.post(f"{two.url}/v2/repository/models/crow/load").status_code == 404
    assert httpx.post(f"{two.url}/v2/repository/index", json={"ready": 1}).status_code == 400


def test_an_engine_that_ends_is_of_no_harm_to_others(two: Server) -> None:
    assert two.post("/openai/v1/completions", {"model": OWL, "max_tokens": 5}).is_success
    two.wait_until(lambda: httpx.post(f"{two.url}/v2/repository/models/{NAME}/unload").is_success)
    assert httpx.post(f"{two.url}/v2/repository/models/{NAME}/load", timeout=60).is_success
    parrot = max(two.engines(), key=lambda process: process.create_time())
    with ThreadPoolExecutor(1) as other:
        asked = {"model": NAME, "prompt": ENDLESS, "max_tokens": 1900, "n": 16, **GREEDY}
        broken = other.submit(two.post, "/openai/v1/completions", asked)
        two.wait_until(lambda: two.running() > 0)
        parrot.kill()
        assert two.post("/openai/v1/completions", {"model": OWL, "max_tokens": 5}).is_success
        answer = broken.result()
    assert answer.status_code == 503
    assert "the engine has stopped" in answer.json()["error"]["message"]
    two.wait_until(lambda: two.post("/openai/v1/completions", {"model": NAME, "max_tokens": 5}).is_success)


@pytest.mark.slow
def test_memory_is_kept_and_none_goes_that_writes(bucket: Path, address: str, tmp_path: Path) -> None:
    """There is room for one of the two."""
    with pool(tmp_path, bucket, address, "--memory-gb", "0.2", NAME, OWL) as server:
        most = 0
        done = threading.Event()

        def count() -> None:
            nonlocal most
            while not done.wait(0.05):
                with contextlib.suppress(psutil.NoSuchProcess):  # one has just gone
                    most = max(most, len(server.engines()))

        counting = threading.Thread(target=count)
        counting.start()
        body = {"model": NAME, "prompt": ENDLESS, "max_tokens": 1500, **GREEDY, "stream": True}
        with httpx.stream("POST", f"{server.url}/openai/v1/completions", json=body, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            with ThreadPoolExecutor(1) as other:
                owl = other.submit(server.post, "/openai/v1/completions", {"model": OWL, "max_tokens": 5})
                chunks = [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]
                assert chunks[-1]["choices"][0]["finish_reason"] == "length"  # it was written to its end
                assert owl.result().is_success
        for name in (NAME, OWL, NAME):
            assert server.post("/openai/v1/completions", {"model": name, "max_tokens": 5}).is_success
        done.set()
        counting.join()
        assert most == 1
        assert server.metric("mynah_models_loaded") == 1


@pytest.mark.slow
def test_a_model_that_becomes_current_is_taken_up_under_load(
    bucket: Path, untrained: Path, address: str, database: Connection, tmp_path: Path
) -> None:
    def who(answer: httpx.Response) -> str:
        assert answer.is_success, answer.text
        return str(answer.json()["system_fingerprint"])

    with pool(tmp_path, bucket, address, "--paged", NAME) as server:

        def say(model: str = NAME) -> str:
            return who(server.post("/openai/v1/completions", {"model": model, "prompt": "haste", **ASKED}))

        assert say() == MODEL_ID
        publish(bucket, untrained, NAME, NEXT)
        # A candidate is asked by its id, and answers for nobody else: also where it is the only one that is loaded.
        assert say(f"{NAME}@{NEXT}") == NEXT
        time.sleep(2 * LOOK)
        assert len(server.engines()) == 2  # it stays, as whoever judges it will ask again
        assert httpx.post(f"{server.url}/v2/repository/models/{NAME}/unload").is_success
        assert say() == MODEL_ID
        answer = server.post(f"/v1/models/{NAME}@{NEXT}:predict", {"instances": [""], "parameters": ASKED})
        assert answer.is_success
        path = f"/v2/models/{NAME}/versions/{NEXT}"
        assert server.post(f"{path}/generate", {"text_input": "a"}).json()["model_version"] == NEXT
        assert httpx.post(f"{server.url}/v2/repository/models/{NAME}@{NEXT}/unload").is_success

        done = threading.Event()

        def talk(_: int) -> list[str]:
            said = []
            while not done.is_set():
                said.append(say())
            return said

        with ThreadPoolExecutor(4) as talking:
            talks = [talking.submit(talk, one) for one in range(4)]
            make_current(database, NAME, NEXT)
            server.wait_until(lambda: httpx.get(f"{server.url}/v2/models/{NAME}").json()["versions"] == [NEXT])
            server.wait_until(lambda: say() == NEXT)
            done.set()
        try:
            for one in talks:
                said = one.result()
                assert said == sorted(said)  # first the old one, then the new one
                assert said[0] == MODEL_ID
            server.wait_until(lambda: len(server.engines()) == 1)
        finally:
            make_current(database, NAME, MODEL_ID)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_says_so_and_the_one_before_it_goes_on(
    bucket: Path, untrained: Path, address: str, database: Connection, tmp_path: Path
) -> None:
    def broken(bot: str, id: str) -> None:
        copy = publish(bucket, untrained, bot, id)
        (copy / "openvino" / "openvino_model.xml").write_text("<net>")
        make_current(database, bot, id)

    broken("dodo", UNTRAINED_ID)
    publish(bucket, untrained, "emu", UNTRAINED_ID)
    make_current(database, "emu", UNTRAINED_ID)
    with pool(tmp_path, bucket, address, "dodo", "emu") as server:
        for _ in range(2):  # and is not tried at every request
            answer = server.post("/openai/v1/completions", {"model": "dodo"})
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 30
            assert "cannot be loaded: OpenVINO cannot load the model" in answer.json()["error"]["message"]
        assert server.log.read_text().count("cannot be loaded") == 1
        listed = httpx.post(f"{server.url}/v2/repository/index").json()
        assert "cannot be loaded" in next(one["reason"] for one in listed if one["name"] == "dodo")

        assert server.post("/openai/v1/completions", {"model": "emu", "max_tokens": 5}).is_success
        broken("emu", NEXT)
        server.wait_until(lambda: server.log.read_text().count("cannot be loaded") == 2)
        answer = server.post("/openai/v1/completions", {"model": "emu", "max_tokens": 5})
        assert answer.json()["system_fingerprint"] == UNTRAINED_ID


def test_the_last_answer_counts_while_postgres_is_away(
    tmp_path: Path,
    database_url: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.model.current.ASK", 0.0)
    make_current(connection, "a", "1")
    make_current(connection, "b", "2")
    settings = Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": database_url})
    current = Current(settings, ["a"])
    with pytest.raises(RequestError, match="is not known yet"):
        current.check()
    current.ask()
    current.check()
    assert current.models() == {"a": "1"}
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    make_current(connection, "a", "3")
    with pytest.raises(MynahError):
        current.ask()
    assert current.models() == {"a": "1"}
    current.check()
    current.ask()
    assert current.models() == {"a": "3"}
