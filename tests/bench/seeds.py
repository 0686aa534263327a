"""`make bench PART=seeds`: the model server with SmolLM2-135M, through HTTP.

How often a request with a seed gets the same text under load as alone, and what such requests cost; how soon a cold
and a warm bot of a pool answer.
"""

import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from mynah.bot import Generate
from mynah.database import served
from mynah.database.connection import connect
from mynah.database.embedded import start
from tests.serving.model.conftest import NAME, Server, running, started
from training.base_model import load_base
from training.publish import write_model

ID, CREATED = "20260101T000000-{:08x}", "2026-01-01T00:00:00Z"
PROMPTS = ("", "The man ", "Love is", "Never ", "A fool and his")
SEEDS, TOKENS, CLIENTS = 200, 60, 8
SPEED = 64  # requests, to compare speeds by
BOTS, COLD, MEMORY_GB = 200, 20, 4


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = made(folder)
        with running(model, fresh(folder)) as server:
            server.wait_until(server.is_ready)
            seeds(server)
        pool(model, folder)


def made(folder: Path) -> Path:
    """The base model as a model folder."""
    model = folder / "model"
    model.mkdir()
    write_model(*load_base("smollm2-135m", folder / "base"), model, Generate())
    (model / "model.json").write_text(json.dumps({"id": ID.format(0), "created": CREATED}), encoding="utf-8")
    return model


def fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def write(client: httpx.Client, number: int, **asked: Any) -> tuple[str, int]:
    body = {"model": NAME, "prompt": PROMPTS[number % len(PROMPTS)], "max_tokens": TOKENS, "temperature": 0.9, **asked}
    answer = client.post("/openai/v1/completions", json=body).raise_for_status().json()
    return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]


@contextmanager
def crowd(server: Server) -> Iterator[list[int]]:
    """Clients that ask without a seed, one text after the other; the tokens that they got."""
    tokens: list[int] = []
    done = threading.Event()

    def talk(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            while not done.is_set():
                tokens.append(write(client, number)[1])

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield tokens
    finally:
        done.set()
        for thread in threads:
            thread.join()


def seeds(server: Server) -> None:
    numbers = range(SEEDS)
    with httpx.Client(base_url=server.url, timeout=120) as client:
        begin = time.monotonic()
        alone = [write(client, number, seed=number) for number in numbers]
        seconds = time.monotonic() - begin
        speed = sum(tokens for _, tokens in alone) / seconds
        print(f"alone: {SEEDS} requests with a seed, one after the other: {speed:.0f} tokens/s")
        with crowd(server) as others, ThreadPoolExecutor(CLIENTS) as clients:
            begin = time.monotonic()
            beside = list(clients.map(lambda number: write(client, number, seed=number), numbers))
            seconds = time.monotonic() - begin
            of_others = sum(others)
        same = sum(one == other for one, other in zip(alone, beside, strict=True))
        print(f"beside {CLIENTS} clients without a seed: {same} of {SEEDS} texts are the same as alone")
        speed = sum(tokens for _, tokens in beside) / seconds
        print(f"  with a seed {speed:.0f} tokens/s, the others {of_others / seconds:.0f}, while both are asked")
        for seeded in (False, True):
            with ThreadPoolExecutor(2 * CLIENTS) as clients:
                begin = time.monotonic()
                asked = [clients.submit(write, client, n, **({"seed": n} if seeded else {})) for n in range(SPEED)]
                told = [one.result() for one in asked]
                seconds = time.monotonic() - begin
            speed = sum(tokens for _, tokens in told) / seconds
            print(f"{2 * CLIENTS} clients {'with' if seeded else 'without'} a seed: {speed:.0f} tokens/s")


def pool(model: Path, folder: Path) -> None:
    """A bucket of many bots, whose model is the same one."""
    bucket, home = folder / "bucket", folder / "home"
    home.mkdir()
    url = start(home)
    bots = [f"bot-{number:03}" for number in range(BOTS)]
    with connect(None, home) as connection:
        for number, bot in enumerate(bots, 1):
            id = ID.format(number)
            copy = bucket / bot / "models" / id
            shutil.copytree(model, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
            (copy / "model.json").unlink()
            (copy / "model.json").write_text(json.dumps({"id": id, "created": CREATED}), encoding="utf-8")
            served.carry_out(connection, served.ask(connection, bot, id, "the benchmark").id)
    with (
        psycopg.connect(url) as kept,
        variables(MYNAH_HOME=home, MYNAH_BUCKET=bucket, DATABASE_URL=url),
    ):  # the connection keeps the server up
        assert not kept.closed
        arguments = ["-m", "mynah", "serve", "--all", "--memory-gb", str(MEMORY_GB), "--port", "{port}"]
        with started(arguments, fresh(folder)) as server:
            server.wait_until(server.is_ready)
            with httpx.Client(base_url=server.url, timeout=120) as client:
                cold, warm = [], []
                for bot in bots[:COLD]:
                    for times in (cold, warm):
                        begin = time.monotonic()
                        write(client, 0, model=bot, max_tokens=1)
                        times.append(time.monotonic() - begin)
            most = sum(process.memory_full_info().uss for process in server.engines())
            parent = psutil.Process(server.process.pid).memory_full_info().uss
            print(
                f"a pool of {BOTS} models in {MEMORY_GB} GiB: the first token of a cold bot after "
                f"{statistics.median(cold):.2f} s (p50 of {COLD}), of a warm one after {statistics.median(warm):.3f} s"
            )
            print(
                f"  {len(server.engines())} models are loaded, {most / 2**30:.2f} GiB in all, "
                f"{most / len(server.engines()) / 2**20:.0f} MiB each, and the server itself {parent / 2**20:.0f} MiB"
            )


@contextmanager
def variables(**given: object) -> Iterator[None]:
    """For a server that is started in the block."""
    os.environ.update({name: str(value) for name, value in given.items()})
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)


if __name__ == "__main__":
    main()
