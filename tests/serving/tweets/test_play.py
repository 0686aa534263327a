"""`mynah play` as a process of its own: from a prompt to texts, to Ctrl-C, and to SIGTERM."""

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.document import Document, pack
from serving import verbs
from tests.scripted import Server as ModelServer
from tests.serving.model.conftest import MODEL_ID, NAME, started
from tests.serving.model.conftest import model_folder as model_folder
from tests.serving.tweets.conftest import MODEL, answer

BOT = """\
bots:
  parrot:
    sources: {none: {url: none.txt}}
    judge: {min_words: 2}
"""


@pytest.mark.slow
def test_from_a_prompt_to_texts(
    model_folder: Path,
    connection: Connection,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "parrot.yaml").write_text(BOT)
    bucket = Bucket(f"file://{tmp_path}/bucket")
    copy = tmp_path / "bucket" / NAME / "models" / MODEL_ID
    shutil.copytree(model_folder, copy)
    manifest = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(manifest | {"id": MODEL_ID, "dataset": "d1"}))
    dataset = tmp_path / "d1"
    dataset.mkdir()
    for split in ("train", "dev"):
        (dataset / f"{split}.jsonl.zst").write_bytes(pack([Document(id=split, text="What nobody says.")]))
    bucket.publish(dataset, {"id": "d1"}, NAME, "datasets", "d1")
    served.carry_out(connection, served.ask(connection, NAME, MODEL_ID, "a test").id)
    for name, value in {
        "MYNAH_BOTS": tmp_path,
        "MYNAH_HOME": tmp_path / "home",
        "MYNAH_BUCKET": bucket.url,
        "DATABASE_URL": database_url,
        "OMP_NUM_THREADS": 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    with started(["-m", "mynah", "play", NAME, "--port", "{port}"], tmp_path) as server:
        give_up = time.monotonic() + 60
        while not server.process.poll() and time.monotonic() < give_up:
            try:
                if httpx.get(f"{server.url}/health/ready").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        asked = {"prompt": "many hands", "temperature": 0, "num_samples": 2, "length": 20, "wait": 45}
        found = httpx.get(f"{server.url}/tweets", params=asked, timeout=90)
        assert found.status_code == 200, (found.text, server.log.read_text())
        assert [text["text"] for text in found.json()["texts"]] == ["many hands make light work"]
        page = httpx.get(f"{server.url}/play", params=asked)
        assert "many hands make light work" in page.text
        assert page.headers["content-encoding"] == "gzip"
        fresh = {"prompt": "many heads", "length": 280, "num_samples": 40}
        with httpx.stream("GET", f"{server.url}/tweets/stream", params=fresh, timeout=90) as stream:
            assert stream.headers["content-encoding"] == "gzip"
            first = json.loads(next(stream.iter_lines()))
            # It comes line by line, though compressed: this one did not wait for the last.
            assert httpx.get(f"{server.url}/tweets/{first['id']}").status_code == 202
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0, server.log.read_text()


def test_told_to_end_it_finishes_what_it_writes(
    model: ModelServer, connection: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nobody is connected: who was told to ask again does so elsewhere."""
    for name in ("parrot", "raven"):
        (tmp_path / f"{name}.yaml").write_text(BOT.replace("parrot", name))
    served.carry_out(connection, served.ask(connection, "raven", MODEL, "a test").id)
    asked, go_on = threading.Event(), threading.Event()
    model.script = [(200, {"versions": [MODEL]}), lambda body: (asked.set(), go_on.wait(20), answer(body))[2]]
    for name, value in {
        "MYNAH_BOTS": tmp_path,
        "MYNAH_HOME": tmp_path / "home",
        "DATABASE_URL": database_url,
        "MYNAH_ENDPOINT": model.address,
    }.items():
        monkeypatch.setenv(name, str(value))
    with started(["-m", "mynah", "play", "--all", "--port", "{port}"], tmp_path) as server:
        server.wait_until(lambda: "listening" in server.log.read_text())
        assert httpx.get(f"{server.url}/bots").json()["bots"] == ["parrot", "raven"]
        first = httpx.get(f"{server.url}/tweets", params={"bot": "raven", "prompt": "Love", "wait": 0})
        assert first.status_code == 202
        assert asked.wait(20)
        server.process.terminate()
        server.wait_until(lambda: refuses(server.url))
        go_on.set()
        assert server.process.wait(20) == 128 + signal.SIGTERM, server.log.read_text()
    assert connection.execute("SELECT state FROM answers").fetchall() == [("written",)]
    assert connection.execute("SELECT count(*) FROM wanted").fetchone() == (0,)


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/health/live")
    except httpx.ConnectError:
        return True
    return False


@pytest.mark.parametrize("words", [[], ["parrot", "--all"]])
def test_the_bots_are_named_or_all(words: list[str]) -> None:
    assert "name one bot or several, or give --all" in str(CliRunner().invoke(verbs.play, words).exception)


def test_all_bots_are_one_at_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNAH_BOTS", str(tmp_path))
    assert f"no bot file in MYNAH_BOTS={tmp_path}" in str(CliRunner().invoke(verbs.play, ["--all"]).exception)
