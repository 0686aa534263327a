"""Base models from a model hub: the real client asks a stand-in that speaks the hub's protocol.

Each time in a process of its own, as the driver is: there, transformers has not loaded the client's parts before.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.loopback import served_by
from tests.training.test_bases import as_gguf

REPO = Path(__file__).parents[2]
COMMIT = "a" * 40
GGUF = "model-f32.gguf"
LOAD = """
import sys
from pathlib import Path
from mynah.errors import MynahError
from training.base_model import base_folder, load_base, tokenizer_file
name = sys.argv[1]
try:
    print(base_folder(name, Path("cache")), tokenizer_file(name, Path("cache")).stat().st_size)
    if sys.argv[2:]:
        model, tokenizer = load_base(name, Path("cache"))
        print(model.num_parameters(), tokenizer.eos_token)
except MynahError as error:
    print(error)
"""


@pytest.fixture
def hub(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Has the models someone/tiny, someone/gguf, and someone/gated, which nobody may have."""
    made = tmp_path_factory.mktemp("gguf")
    as_gguf(made)
    gguf = (made / GGUF).read_bytes()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = urlsplit(self.path).path.removeprefix("/api/models")
            who, _, file = path[1:].partition("/resolve/main/")
            who, tree, listed = who.partition("/tree/main")
            if who == "someone/gated":
                return self.say(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask for it"}, body)
            if who == "someone/gguf":
                if tree:
                    files = [
                        {"type": "file", "path": name, "size": 1, "oid": COMMIT} for name in (".gitattributes", GGUF)
                    ]
                    return self.say(200, json.dumps(files).encode(), {"Content-Type": "application/json"}, body)
                if file != GGUF:
                    return self.say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, body)
                return self.say(200, gguf, {"X-Repo-Commit": COMMIT, "ETag": '"1"'}, body)
            if who != "someone/tiny":
                return self.say(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
            if listed or not (Path(tiny) / file).is_file():
                return self.say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, body)
            data = (Path(tiny) / file).read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            return self.say(200, data, {"X-Repo-Commit": COMMIT, "ETag": etag}, body)

        def say(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    with served_by(Hub) as address:
        yield address


def load(folder: Path, hub: str, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(REPO), "HF_ENDPOINT": hub, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", LOAD, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_model_is_loaded_by_its_name_and_kept(tmp_path: Path, hub: str, tiny: str) -> None:
    size = (Path(tiny) / "tokenizer.json").stat().st_size
    first, second = load(tmp_path, hub, "someone/tiny", "whole").splitlines()
    assert first == f"None {size}"
    assert second.endswith(" <|im_end|>")
    assert load(tmp_path, "http://127.0.0.1:1", "someone/tiny") == f"None {size}"  # the hub is away


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("someone/gated", "is gated: accept its licence on https://huggingface.co/someone/gated and set HF_TOKEN"),
        ("someone/nobody", "no such folder, and no such model on Hugging Face; check train.base"),
        ("some one", "no such folder, and no such model on Hugging Face; check train.base"),
    ],
)
def test_what_the_hub_refuses_is_one_line(tmp_path: Path, hub: str, name: str, said: str) -> None:
    (line,) = load(tmp_path, hub, name).splitlines()
    assert line.startswith(f"base model {name}")
    assert line.endswith(said)


def test_a_hub_that_is_away_is_one_line(tmp_path: Path) -> None:
    (line,) = load(tmp_path, "http://127.0.0.1:1", "someone/tiny").splitlines()
    assert line.startswith("base model someone/tiny: no such folder, and Hugging Face cannot be reached: check the")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["someone/gguf", f"someone/gguf/{GGUF}"])
def test_a_gguf_file_of_the_hub_is_fetched_and_converted(name: str, tmp_path: Path, hub: str) -> None:
    first, second = load(tmp_path, hub, name, "whole").splitlines()
    assert first.startswith("cache/")
    assert second.endswith(" <|im_end|>")
