"""Bots that tune the tiny model, and datasets of a few sentences."""

import logging
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mynah.bot import Bot
from mynah.bucket import Bucket, new_id
from mynah.database import served
from mynah.database.connection import Connection
from mynah.document import Document, pack
from mynah.settings import Settings
from tests.postgres import database
from tests.training.trainer import start

UNTUNED = "20200101T000000-00000000"  # the tiny model, as `finished` has it for its current one
CURRENT = "20260101T000000-current"
SENTENCES = [
    f"{who} {does} {what}."
    for who in ("The mynah", "A crow", "My parrot", "The old owl", "Every finch", "A starling")
    for does in ("repeats", "forgets", "whistles", "learns", "sells", "hides")
    for what in ("the news", "a short song", "your secret", "the whole alphabet", "nothing at all", "a bad joke")
]


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> PreTrainedTokenizerFast:
    """SmolLM2's tokenizer, fresh."""
    return PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)


@pytest.fixture
def model(tiny: str) -> LlamaForCausalLM:
    """The tiny model, fresh."""
    return LlamaForCausalLM.from_pretrained(tiny)


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


@pytest.fixture(scope="session")
def settings_of() -> Callable[[Bucket, Path, str], Settings]:
    """Settings of a bucket, a home and a database."""

    def make(bucket: Bucket, home: Path, database: str) -> Settings:
        return Settings.read({"MYNAH_BUCKET": bucket.url, "MYNAH_HOME": str(home), "DATABASE_URL": database})

    return make


@dataclass(frozen=True)
class Finished:
    """What a training left."""

    bot: Bot
    bucket: Bucket
    settings: Settings
    dataset: str
    out: str
    err: str


@pytest.fixture(scope="session")
def finished(
    make_bot: Callable[..., Bot],
    write_dataset: Callable[..., str],
    settings_of: Callable[[Bucket, Path, str], Settings],
    postgres: str,
    tiny: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Finished]:
    """A run of two workers that nobody disturbed. The current model is the base model, untuned."""
    folder = tmp_path_factory.mktemp("finished")
    bucket, bot = Bucket(f"file://{folder}/bucket"), make_bot(workers=2, price_per_hour=1.5, keep_checkpoints=2)
    dataset = write_dataset(bucket, folder / "dataset")
    bucket.publish(Path(tiny), {}, "bird", "models", UNTUNED)
    with database(postgres, "finished") as address:
        settings = settings_of(bucket, folder / "home", address)
        with settings.connect() as connection:
            served.carry_out(connection, served.ask(connection, "bird", UNTUNED, "a test").id)
        process = start(bot, settings)
        out, err = process.communicate()
        assert process.returncode == 0, err
        yield Finished(bot, bucket, settings, dataset, out, err)


@pytest.fixture
def s3_server() -> Iterator[ThreadedMotoServer]:
    """An S3 server on loopback; stopped and started again, it has what it had."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket on that server."""
    host, port = s3_server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()  # what other tests left in this process
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bots")
    return Bucket("s3://bots/mynah")


@pytest.fixture
def with_current(
    tmp_path: Path,
    database_url: str,
    settings_of: Callable[..., Settings],
    tiny: str,
    write_dataset: Callable[..., str],
) -> Settings:
    """Settings of a bucket with a tiny model; with `speaking`, it is the current one."""
    bucket = Bucket(str(tmp_path / "bucket"))
    dataset = write_dataset(bucket, tmp_path / "dataset")
    folder = tmp_path / "current"
    shutil.copytree(tiny, folder)
    manifest = {"base": "tiny", "dataset": dataset, "parameters": {}, "metrics": {"dev_loss_untuned": 11.0}}
    bucket.publish(folder, manifest, "bird", "models", CURRENT)
    return settings_of(bucket, tmp_path / "home", database_url)


@pytest.fixture
def speaking(connection: Connection, with_current: Settings) -> Connection:
    served.carry_out(connection, served.ask(connection, "bird", CURRENT, "promoted").id)
    return connection
