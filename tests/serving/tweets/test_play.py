"""`mynah play` as a process of its own, with a real model: from a prompt to texts, and to Ctrl-C."""

import json
import shutil
import signal
import time
from pathlib import Path

import httpx
import pytest

from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.document import Document, pack
from tests.serving.model.conftest import MODEL_ID, NAME, started
from tests.serving.model.conftest import model_folder as model_folder

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
        asked = {"prompt": "many hands", "temperature": 0, "num_samples": 2, "length": 20, "wait": 60}
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
