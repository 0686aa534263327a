"""More requests than a server can take, and an end in the middle of them."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.serving.model.conftest import GREEDY, NAME, Server, running

pytestmark = pytest.mark.slow
ASKED: dict[str, Any] = {"model": NAME, "prompt": "haste", "max_tokens": 30, **GREEDY}


async def crowd(server: Server, size: int) -> list[httpx.Response]:
    """The answers to `size` requests at once."""
    limits = httpx.Limits(max_connections=size)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:
        return await asyncio.gather(*(client.post("/openai/v1/completions", json=ASKED) for _ in range(size)))


def memory(server: Server) -> int:
    return sum(process.memory_info().rss for process in (psutil.Process(server.process.pid), server.engine()))


def test_five_hundred_at_once_are_answered_or_told_when_to_come_back(model_folder: Path, tmp_path: Path) -> None:
    with running(model_folder, tmp_path, "--queue", "64") as server:
        server.wait_until(server.is_ready)
        asyncio.run(crowd(server, 60))
        before = memory(server)
        answers = asyncio.run(crowd(server, 500))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 64
        for answer in answers:
            if answer.is_success:
                assert answer.json()["choices"][0]["text"] == " makes waste"
            else:
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                error = answer.json()["error"]
                assert error["code"] == "busy"
                assert re.search(r"\d+ texts are written or wait: ask again in \d+ s", error["message"])
        assert memory(server) < before + 200_000_000
        assert {answer.status_code for answer in asyncio.run(crowd(server, 60))} == {200}
        assert server.running() == 0


def test_an_end_in_the_middle_breaks_no_answer(model_folder: Path, tmp_path: Path) -> None:
    with running(model_folder, tmp_path) as server:
        server.wait_until(server.is_ready)

        async def main() -> list[httpx.Response]:
            asked = asyncio.ensure_future(crowd(server, 200))
            while not server.running():
                assert not asked.done(), await asked
                await asyncio.sleep(0.005)
            server.process.terminate()
            return await asked

        answers = asyncio.run(main())
        assert {answer.status_code for answer in answers} == {200}
        assert server.process.wait(60) == 0
