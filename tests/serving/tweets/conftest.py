"""The tweet API in front of a model server that says what a test wants, with a real Postgres."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from mynah.bot import Bot, FileSource, Judge
from mynah.database import prompts, served
from mynah.database.connection import Connection, connect
from mynah.settings import Settings
from serving import transport
from serving.tweets.allowance import Allowance, Counted
from serving.tweets.app import application
from serving.tweets.asked import Sampling
from serving.tweets.desk import Desk
from serving.tweets.server import connections
from tests.postgres import database
from tests.scripted import Server, scripted

MODEL = "20260101T000000-a"
ANY_NUMBER = Allowance(0, 0)
TEXTS = (
    " is a fine thing to have.",
    " See example.com now.",
    " is good, and good, and good, and good.",
    " is old and new.",
)


@pytest.fixture
def model() -> Iterator[Server]:
    """It serves MODEL, and writes TEXTS again and again, 0.3 s for a request."""
    with scripted() as server:
        server.script = [answer]
        yield server


def answer(body: dict[str, Any]) -> Any:
    if "prompt" not in body:
        return 200, {"versions": [MODEL]}
    time.sleep(0.3)
    return said([TEXTS[number % len(TEXTS)] for number in range(body["n"])])


def said(texts: list[str]) -> Any:
    """A stream of completions, two pieces a text."""
    pieces = [(n, text[:4], None) for n, text in enumerate(texts)]
    pieces += [(n, text[4:], "stop") for n, text in enumerate(texts)]
    events = [{"choices": [{"index": n, "text": text, "finish_reason": end}]} for n, text, end in pieces]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return 200, body.encode(), {"content-type": "text/event-stream"}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, model: Server) -> Settings:
    return settings_of(tmp_path, database_url, model)


def settings_of(home: Path, database_url: str, model: Server) -> Settings:
    return Settings.read({"MYNAH_HOME": str(home), "DATABASE_URL": database_url, "MYNAH_ENDPOINT": model.address})


@pytest.fixture
def bots(connection: Connection) -> dict[str, Bot]:
    return two_bots(connection)


def two_bots(connection: Connection) -> dict[str, Bot]:
    """Two, of which `left` has a model."""
    served.carry_out(connection, served.ask(connection, "left", MODEL, "a test").id)
    source = FileSource(url="none.txt")
    return {name: Bot(name=name, sources={"none": source}, judge=Judge(min_words=3)) for name in ("left", "right")}


def answered(connection: Connection, bot: str, prompt: str, texts: list[dict[str, Any]], model: str = MODEL) -> None:
    """Let a bot have answered a prompt with these texts, the best first."""
    sampling, holder = prompts.canonical(Sampling().model_dump()), uuid4()
    asked = prompts.visit(connection, bot, prompt.lower(), sampling)
    id = prompts.claim(connection, asked.prompt_id, model, sampling, holder)
    assert id, f"{bot} has answered {prompt} already"
    prompts.write(connection, id, holder, texts)


@contextmanager
def replica(
    settings: Settings,
    bots: dict[str, Bot],
    allowance: Allowance = ANY_NUMBER,
    proxies: Sequence[str] = (),
) -> Iterator[httpx.Client]:
    """The API on a port of its own."""
    with ExitStack() as stack:
        pool = stack.enter_context(connections(settings))
        desk = Desk(settings, bots, pool.connection, allowance.prompt)
        stack.callback(desk.stop)
        listener = transport.listen("127.0.0.1", 0)
        server = transport.Server(Counted(application(desk, pool.connection, settings.signing_key), allowance), proxies)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield stack.enter_context(httpx.Client(base_url=address, timeout=30))
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def api(settings: Settings, bots: dict[str, Bot]) -> Iterator[httpx.Client]:
    with replica(settings, bots) as client:
        yield client


@dataclass(frozen=True)
class Standing:
    """An API, the model server behind it, and its Postgres."""

    api: httpx.Client
    model: Server
    connection: Connection


@pytest.fixture(scope="session")
def whole_session(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    home = tmp_path_factory.mktemp("home")
    with database(postgres, "tweets") as url, scripted() as model:
        model.script = [answer]
        with connect(url, home) as connection, replica(settings_of(home, url, model), two_bots(connection)) as client:
            yield Standing(client, model, connection)


@pytest.fixture
def standing(whole_session: Standing) -> Standing:
    """One that many tests share: for those that ask for what no other does, or for nothing."""
    whole_session.model.asked.clear()
    return whole_session
