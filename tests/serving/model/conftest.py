"""A small real model that knows a few sayings by heart, and a real server of it on loopback."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psutil
import pytest
import yaml

from mynah.bot import Generate

NAME = "parrot"
MODEL_ID = "20261121T093000-1f2e3d4c"
UNTRAINED_ID = "20261122T093000-5a6b7c8d"
CREATED = 1795253400  # 2026-11-21T09:30:00Z
CONTEXT = 2048
SAYINGS = [
    "roses are red, violets are blue",
    "a bird in the hand is worth two in the bush",
    "the early bird catches the worm 🐛",
    "still waters run deep",
    "many hands make light work",
    "no news is good news",
    "time flies like an arrow",
    "haste makes waste",
]
# Each message as one text of the model, but the system's, which is said before all.
TEMPLATE = """
{%- for message in messages %}
    {%- if message.role == "system" %}
        {%- if not loop.first %}{{ raise_exception("the system speaks first") }}{% endif %}
        {{- message.content + "\n" }}
    {%- elif message.role == "user" %}
        {{- bos_token + message.content }}
    {%- else %}
        {{- message.content + eos_token }}
    {%- endif %}
{%- endfor %}"""
ENDLESS = "tick tock " * 8  # learnt without an end: the model goes on until max_tokens
GREEDY = {"temperature": 0}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as `mynah train` publishes it; a two-layer Llama that says SAYINGS, and has a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from tests.llama import tiny_llama
    from training.publish import write_model

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(SAYINGS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices this small are only slowed by more
    model = tiny_llama(len(tokenizer), bos=0, eos=1, max_position_embeddings=CONTEXT)
    rows = [[0, *tokenizer(text, add_special_tokens=False).input_ids, 1] for text in SAYINGS]
    rows.append([0, *tokenizer(ENDLESS, add_special_tokens=False).input_ids])
    longest = max(map(len, rows))
    ids = torch.tensor([row + [1] * (longest - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (longest - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)

    folder = tmp_path_factory.mktemp("model")
    write_model(model, tokenizer, folder, Generate())
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size}
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest = {
        "id": MODEL_ID,
        "bot": NAME,
        "created": "2026-11-21T09:30:00Z",
        "generate": {"prompts": [""], "samples": 10, "max_tokens": 40, "temperature": 0.9, "top_p": 1.0, "seed": None},
        "files": files,
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a random Llama whose tokenizer adds no BOS and marks words by a space, as Llama's does."""
    import openvino
    from openvino_tokenizers import convert_tokenizer
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    from tests.llama import tiny_llama
    from training.publish import write_model

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    words = [f"▁{word}" for saying in SAYINGS for word in saying.split()]
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    bpe.train_from_iterator(words, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    model = tiny_llama(len(tokenizer), bos=1, eos=2, max_position_embeddings=256)
    without_bos = convert_tokenizer(tokenizer)
    folder = tmp_path_factory.mktemp("untrained")
    write_model(model, tokenizer, folder, Generate())
    openvino.save_model(without_bos, folder / "openvino" / "openvino_tokenizer.xml")
    manifest = {"id": UNTRAINED_ID, "created": "2026-11-22T09:30:00Z"}
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@dataclass
class Server:
    """`mynah serve` in a process of its own."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    imported: Path
    """Names the packages that the server must not import and did."""

    def engines(self) -> list[psutil.Process]:
        """The engines' processes: the children that run the worker (the other one is multiprocessing's)."""
        assert self.process.poll() is None, self.log.read_text()
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends just now; a zombie is one of these
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def engine(self) -> psutil.Process:
        """The process of its first engine, as soon as there is one."""
        while not (engines := self.engines()):
            time.sleep(0.01)
        return engines[0]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether it listens: it may still be warming up."""
        try:
            return httpx.get(f"{self.url}/v2/health/live").is_success
        except httpx.TransportError:
            return False

    def is_ready(self) -> bool:
        return self.answers() and httpx.get(f"{self.url}/v2/health/ready").is_success

    def metric(self, name: str) -> float:
        """0 where there is none: a series begins when it is first counted."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)

    def running(self) -> float:
        """Texts of all its models that are being written, or wait."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        names = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
        return sum(float(line.split()[1]) for line in lines if line.startswith(names))

    def post(self, path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, scratch: Path, *flags: str) -> Iterator[Server]:
    """A server of the model in `folder`, not yet ready; killed at the end if it still runs."""
    command = ["-m", "mynah", "serve", NAME, "--model-dir", str(folder), "--port", "{port}", *flags]
    with started(command, scratch) as server:
        yield server


@contextmanager
def started(arguments: list[str], scratch: Path) -> Iterator[Server]:
    """The server that Python starts with `arguments`, in which {port} is put; killed at the end if it still runs."""
    imported = scratch / "imported"
    for package in ("torch", "transformers"):  # found before the real ones, by the server and its engine
        (scratch / f"{package}.py").write_text(
            f"open({str(imported)!r}, 'a').write('{package} ')\nraise ImportError('{package}')\n", encoding="utf-8"
        )
    port = free_port()
    log = scratch / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *(argument.replace("{port}", str(port)) for argument in arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(scratch), *sys.path])},
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(process, f"http://127.0.0.1:{port}", log, imported)
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it ends by itself when its parent does
                child.kill()


@pytest.fixture(scope="session")
def server(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ready server that all tests share."""
    with running(model_folder, tmp_path_factory.mktemp("server")) as server:
        server.wait_until(server.is_ready)
        yield server


Validate = Callable[[Any, str, str], None]


@pytest.fixture(scope="session")
def validate(shared: Path) -> Validate:
    """validate(data, FILE, SCHEMA) checks data against a schema of an OpenAPI file of the shared folder."""
    documents: dict[str, Any] = {}

    def check(data: Any, file: str, schema: str) -> None:
        if file not in documents:
            text = (shared / "data" / "openapi" / file).read_text(encoding="utf-8")
            documents[file] = yaml.load(text, Loader=yaml.CSafeLoader)
        components = documents[file]["components"]
        jsonschema.validate(data, {"$ref": f"#/components/schemas/{schema}", "components": components})

    return check
