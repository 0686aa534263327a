"""A tiny model with a real tokenizer, and datasets of a few sentences."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the model hub

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mynah.bot import Bot
from mynah.bucket import Bucket, new_id
from mynah.document import Document, pack
from training.base import load_base
from training.smollm2 import SMOLLM2

SENTENCES = [
    f"{who} {does} {what}."
    for who in ("The mynah", "A crow", "My parrot", "The old owl", "Every finch", "A starling")
    for does in ("repeats", "forgets", "whistles", "learns", "sells", "hides")
    for what in ("the news", "a short song", "your secret", "the whole alphabet", "nothing at all", "a bad joke")
]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of base models, with SmolLM2 converted into it."""
    cache = tmp_path_factory.mktemp("models")
    load_base(SMOLLM2, cache)
    return cache


@pytest.fixture(scope="session")
def tokenizer_folder(cache: Path) -> Path:
    return cache / SMOLLM2


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> PreTrainedTokenizerFast:
    """SmolLM2's tokenizer, fresh."""
    return PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)


@pytest.fixture
def model() -> LlamaForCausalLM:
    """A random Llama of two layers, with SmolLM2's vocabulary."""
    return tiny_llama()


@pytest.fixture(scope="session")
def tiny(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the tiny model and SmolLM2's tokenizer: a base that trains in seconds."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_llama().save_pretrained(folder)
    PreTrainedTokenizerFast.from_pretrained(tokenizer_folder).save_pretrained(folder)
    return str(folder)


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=49152,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
            tie_word_embeddings=True,
        )
    )


@pytest.fixture(scope="session")
def make_bot(tiny: str) -> Callable[..., Bot]:
    """A bot that tunes the tiny model in 60 small steps; keyword arguments change its train section."""

    def make(**train: object) -> Bot:
        settings = {"base": tiny, "block_size": 32, "batch_size": 2, "max_steps": 60, "learning_rate": 3e-3}
        settings |= {"eval_every": 20, "eval_blocks": 8, "save_every": 10, "precision": "fp32"}
        source = {"kind": "file", "url": "unused.txt"}
        return Bot(name="bird", sources={"s": source}, generate={"max_tokens": 20}, train={**settings, **train})

    return make


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., str]:
    """Write a dataset in the documented format; returns its id."""

    def write(bucket: Bucket, folder: Path, train: list[str] = SENTENCES[18:], dev: list[str] = SENTENCES[:18]) -> str:
        folder.mkdir(parents=True)
        for split, texts in {"train": train, "dev": dev}.items():
            documents = (Document(id=str(number), text=text) for number, text in enumerate(texts))
            (folder / f"{split}.jsonl.zst").write_bytes(pack(documents))
        id = new_id([train, dev])
        bucket.publish(folder, {"counts": {"train": len(train), "dev": len(dev)}}, "bird", "datasets", id)
        return id

    return write


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket on an S3 server on loopback."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bots")
    yield Bucket("s3://bots/mynah")
    server.stop()
