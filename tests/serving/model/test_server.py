"""How a server begins and ends."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from mynah.errors import MynahError
from serving.model.engine import RESTARTS, Options
from serving.model.folder import read_model
from serving.model.models import OneModel
from serving.model.server import serve
from tests.serving.model.conftest import GREEDY, NAME, Server, running

LONG = 1500  # tokens: seconds of work
COMPLETIONS = "/openai/v1/completions"
ENDLESS: dict[str, Any] = {"model": NAME, "prompt": "tick", "max_tokens": LONG, **GREEDY}


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model folder, to be damaged."""
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def test_it_warms_up_and_says_so(model_folder: Path, tmp_path: Path) -> None:
    with running(model_folder, tmp_path, "--threads", "1", "--cache-gb", "2") as server:
        engine = server.engine()
        engine.suspend()
        server.wait_until(server.answers)
        for path in ("/v2/health/ready", f"/v2/models/{NAME}/ready", f"/v1/models/{NAME}"):
            response = httpx.get(f"{server.url}{path}")
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert "warming up" in response.json()["error"]
        response = server.post(COMPLETIONS, ENDLESS)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "warming_up"
        assert httpx.get(f"{server.url}/v2/health/live").is_success
        assert httpx.get(f"{server.url}/v2/models/{NAME}").is_success
        engine.resume()
        server.wait_until(server.is_ready)
        log = server.log.read_text()
        for step in (
            "importing KServe",
            "reading",
            r"threads: 1, cache: 2 GB\)",
            "answering a first request",
            "ready after",
        ):
            assert re.search(rf"{step}.*\d\.\d\d s", log), log


def test_an_engine_that_is_killed_is_started_again_and_not_for_ever(model_folder: Path, tmp_path: Path) -> None:
    """What was being written is told that it broke off."""
    with running(model_folder, tmp_path) as server:
        server.wait_until(server.is_ready)
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(server.post(COMPLETIONS, ENDLESS)))
        waiting.start()
        server.wait_until(lambda: server.running() == 1)
        with httpx.stream("POST", f"{server.url}{COMPLETIONS}", json=ENDLESS | {"stream": True}, timeout=60) as stream:
            lines = (line for line in stream.iter_lines() if line)
            next(lines)
            server.engine().kill()
            *_, last = lines
        waiting.join()
        assert (answers[0].status_code, answers[0].headers["retry-after"]) == (503, "1")
        for error in (answers[0].json()["error"], json.loads(last.removeprefix("data: "))["error"]):
            assert error["code"] == "engine_stopped"
            assert "SIGKILL" in error["message"]
        assert server.running() == 0
        for _ in range(RESTARTS):
            server.wait_until(server.is_ready)
            text = server.post(COMPLETIONS, {"model": NAME, "prompt": "haste", **GREEDY}).json()["choices"][0]["text"]
            assert text == " makes waste"
            server.engine().kill()
        assert server.process.wait(30) == 1
        lines_of_log = server.log.read_text().splitlines()
        assert "mynah: " in lines_of_log[-1]
        assert "SIGKILL" in lines_of_log[-1]
        assert sum("it is started again" in line for line in lines_of_log) == RESTARTS
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_runs_when_told_to_end(model_folder: Path, tmp_path: Path, stop: signal.Signals) -> None:
    with running(model_folder, tmp_path) as server:
        server.wait_until(server.is_ready)
        engine = server.engine()
        body = ENDLESS | {"max_tokens": 300, "stream": True, "stream_options": {"include_usage": True}}
        with httpx.stream("POST", f"{server.url}{COMPLETIONS}", json=body, timeout=60) as stream:
            lines = (line for line in stream.iter_lines() if line)
            next(lines)
            server.process.send_signal(stop)
            engine.send_signal(stop)  # a terminal and a service manager signal the whole group
            if stop == signal.SIGTERM:  # new connections are taken until the clients have gone
                server.wait_until(lambda: httpx.get(server.url).headers.get("connection") == "close")
            else:
                server.wait_until(lambda: not server.answers())
            *_, usage, done = lines
        assert done == "data: [DONE]"
        assert json.loads(usage.removeprefix("data: "))["usage"]["completion_tokens"] == 300
        assert server.process.wait(30) == 0
        assert not engine.is_running()
        assert "Traceback" not in server.log.read_text()


def test_it_ends_at_once_while_it_warms_up(model_folder: Path, tmp_path: Path) -> None:
    with running(model_folder, tmp_path, "--quiet") as server:
        engine = server.engine()
        engine.suspend()
        server.wait_until(server.answers)
        server.process.terminate()
        assert server.process.wait(30) == 0
        assert not engine.is_running()
        assert server.log.read_text() == ""


@pytest.mark.parametrize(
    "path", [COMPLETIONS, f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/generate_stream", "stream"]
)
def test_a_client_that_hangs_up_ends_its_request(server: Server, path: str) -> None:
    """Also in the middle of a stream, whose status was 200 when it began."""
    body: dict[str, Any] = {
        COMPLETIONS: ENDLESS,
        "stream": ENDLESS | {"stream": True},
        f"/v1/models/{NAME}:predict": {"instances": ["tick"], "parameters": {"max_tokens": LONG, **GREEDY}},
    }.get(path, {"text_input": "tick", "parameters": {"max_tokens": LONG, **GREEDY}})
    before = server.metric(f'vllm:generation_tokens_total{{model_name="{NAME}"}}')
    gone, failed = (
        server.metric('mynah_requests_total{status="499"}'),
        server.metric('mynah_requests_total{status="500"}'),
    )
    answered = server.metric('mynah_requests_total{status="200"}')
    path = COMPLETIONS if path == "stream" else path
    content = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0)) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        client.sendall(head.encode() + b"\r\n\r\n" + content)
        server.wait_until(lambda: server.running() == 1)
    server.wait_until(lambda: server.running() == 0)
    assert server.metric(f'vllm:generation_tokens_total{{model_name="{NAME}"}}') - before < LONG
    assert "cancelled" in server.log.read_text().splitlines()[-1]
    server.wait_until(lambda: server.metric('mynah_requests_total{status="499"}') == gone + 1)
    assert server.metric('mynah_requests_total{status="500"}') == failed
    assert server.metric('mynah_requests_total{status="200"}') == answered


def test_it_imports_neither_torch_nor_transformers(server: Server) -> None:
    server.post(COMPLETIONS, {"model": NAME})
    assert not server.imported.exists(), server.imported.read_text()


def test_a_port_in_use(model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MynahError, match=f"^port {port} on 127.0.0.1 is in use: .*--port"):
            serve(lambda: OneModel(NAME, model_folder, Options()), "127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_here(model_folder: Path, host: str) -> None:
    with pytest.raises(MynahError, match=host):
        serve(lambda: OneModel(NAME, model_folder, Options()), host, 0)


def test_a_folder_that_was_never_written_whole(copy: Path) -> None:
    (copy / "model.json").unlink()
    with pytest.raises(MynahError, match=r"has no model\.json: it was never written whole; run mynah train parrot"):
        OneModel(NAME, copy, Options())
    command = [sys.executable, "-m", "mynah", "serve", NAME, "--model-dir", str(copy)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_without_openvino(copy: Path) -> None:
    shutil.rmtree(copy / "openvino")
    with pytest.raises(MynahError, match="openvino has no openvino_model.xml: run mynah train parrot again"):
        OneModel(NAME, copy, Options())


def test_a_file_cut_short(copy: Path) -> None:
    weights = copy / "openvino" / "openvino_model.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(MynahError, match=r"openvino_model\.bin has \d+ bytes, not \d+: copy the folder again"):
        OneModel(NAME, copy, Options())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", r"model\.json cannot be read"),
        ({"generate": {"temperature": 7}}, "generate.temperature: must be at least 0 and at most 2, not 7"),
    ],
)
def test_a_manifest_that_is_wrong(copy: Path, change: Any, message: str) -> None:
    manifest = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(change if isinstance(change, str) else json.dumps(manifest | change))
    with pytest.raises(MynahError, match=message):
        read_model(NAME, copy)


def test_a_model_that_openvino_cannot_load(copy: Path, tmp_path: Path) -> None:
    manifest = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(manifest | {"files": {}}))
    (copy / "openvino" / "openvino_model.xml").write_text("<net>")
    with running(copy, tmp_path) as server:
        assert server.process.wait(60) == 1
        last = server.log.read_text().splitlines()[-1]
        assert last.startswith("mynah: ")
        assert "OpenVINO cannot load the model" in last
