"""What all tests share: Postgres, a fresh database per test, the X simulator, a tiny model, data beside the repo."""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from mynah.database.connection import Connection, connect, reach
from mynah.database.migrations import migrate
from tests.postgres import database

REPO = Path(__file__).parent.parent
DAY, NEAR = 86_400, 310  # seconds; a service's day may begin five minutes before ours, or after
MEMORY, ROOM = Path("/dev/shm"), 1 << 30  # a file system in memory, and the bytes that we want there

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the model hub
settings.register_profile("mynah", deadline=None)  # how fast an example runs says nothing on a busy machine
settings.load_profile("mynah")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data beside the repo; tests that need it skip without it."""
    folder = REPO.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the data folder ../shared beside the repository")
    return folder


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of an embedded Postgres whose database `template` is migrated.

    Every test has a database of its own, of 300 files: in memory, where there is room, they are made in half the time.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        home = Path(tempfile.mkdtemp(dir=MEMORY))
        atexit.register(shutil.rmtree, home, ignore_errors=True)  # after the server has ended, at exit too
    else:
        home = tmp_path_factory.mktemp("postgres")
    with connect(None, home) as connection:
        address = connection.info.dsn
        connection.execute("CREATE DATABASE template")
    template = psycopg.conninfo.make_conninfo(address, dbname="template")
    with reach(template, home) as connection:
        migrate(connection)
    return address


@pytest.fixture
def database_url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a fresh, migrated database."""
    with database(postgres, f"test_{abs(hash(request.node.nodeid))}") as address:
        yield address


@pytest.fixture
def connection(database_url: str, tmp_path: Path) -> Iterator[Connection]:
    """A connection to a fresh, migrated database."""
    with connect(database_url, tmp_path) as connection:
        yield connection


@pytest.fixture
def within_a_day() -> None:
    """No UTC day begins or ends in the next minutes: then, what was left reserved is taken up again (see spend.py)."""
    seconds = time.time() % DAY
    if not NEAR <= seconds <= DAY - 2 * NEAR:
        time.sleep((NEAR - seconds) % DAY)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[str]:
    """The X simulator on a free port; its address. What it was told lies in tmp_path/x.jsonl."""
    from tests.x import simulated

    with simulated(tmp_path / "x.jsonl") as url:
        yield url


@pytest.fixture(scope="session")
def bluesky(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of Bluesky, as a test installation; its address."""
    from tests.bluesky import server

    with server(shared / "bluesky", tmp_path_factory.mktemp("bluesky")) as url:
        yield url


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of base models, with SmolLM2 converted into it."""
    from training.base_model import SMOLLM2, load_base

    cache = tmp_path_factory.mktemp("models")
    load_base(SMOLLM2, cache)
    return cache


@pytest.fixture(scope="session")
def tokenizer_folder(cache: Path) -> Path:
    """SmolLM2's tokenizer, with SmolLM2."""
    from training.base_model import CONVERTED

    return cache / CONVERTED


@pytest.fixture(scope="session")
def tiny(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random Llama of two layers and SmolLM2's real tokenizer: a base that trains in seconds."""
    from transformers import PreTrainedTokenizerFast

    from tests.llama import tiny_llama

    folder = tmp_path_factory.mktemp("tiny")
    tiny_llama(49152, bos=1, eos=2, pad_token_id=2, tie_word_embeddings=True).save_pretrained(folder)
    PreTrainedTokenizerFast.from_pretrained(tokenizer_folder).save_pretrained(folder)
    return str(folder)
