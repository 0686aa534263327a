"""What goes wrong between a client and a service: each fate, as a client sees it and as the service does."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mynah.errors import UsageError
from simulators.hostile import FATES, READS, STORM, Hostile, parse
from tests.loopback import app_served


@contextmanager
def served(odds: dict[str, float], seed: int = 1) -> Iterator[tuple[str, list[str]]]:
    """A service that notes what it is told; its address and its notes."""
    told: list[str] = []

    async def tell(request: Request) -> Response:
        told.append((await request.body()).decode())
        return JSONResponse({"told": told[-1]})

    app = Starlette(routes=[Route("/api/tell", tell, methods=["GET", "POST"]), Route("/page", tell)])
    weather = Hostile(app, odds, seed, "/api/", lambda status: JSONResponse({"why": status}, status), late=0.1)
    with app_served(weather) as url:
        yield url, told


def wait_for(told: list[str], number: int) -> None:
    end = time.monotonic() + 10
    while len(told) < number and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("fate", "done", "sees"),
    [
        ("lost", False, httpx.RemoteProtocolError),
        ("503", False, 503),
        ("429", False, 429),
        ("cut", True, httpx.RemoteProtocolError),
        ("half", True, httpx.RemoteProtocolError),
        ("late", True, 200),
        ("after", True, 503),
        ("broken", True, 200),
        ("later", True, httpx.RemoteProtocolError),
        ("504", True, 504),
    ],
)
def test_each_fate(fate: str, done: bool, sees: int | type[Exception]) -> None:
    with served({fate: 1}) as (url, told):
        if isinstance(sees, int):
            answer = httpx.post(url + "/api/tell", content="hello")
            assert answer.status_code == sees
            assert ("html" in answer.headers["content-type"]) == (fate == "broken")
        else:
            with pytest.raises(sees):
                httpx.post(url + "/api/tell", content="hello")
        if fate in ("later", "504"):
            assert told == []
        wait_for(told, done)
        assert told == (["hello"] if done else [])
        assert httpx.get(url + "/page").status_code == 200  # the pages for people are never touched


def test_reads_fail() -> None:
    seen: Counter[str] = Counter()
    with served({READS: 0.5}) as (url, _), httpx.Client() as client:
        for _ in range(60):
            try:
                seen[str(client.get(url + "/api/tell").status_code)] += 1
            except httpx.RemoteProtocolError:
                seen["cut"] += 1
    assert set(seen) == {"200", "503", "cut"}
    assert 15 < seen["200"] < 45


def test_the_same_seed_brings_the_same_fates() -> None:
    def fates(seed: int) -> list[str]:
        weather = Hostile(lambda *_: asyncio.sleep(0), STORM, seed, "/", lambda status: Response(None, status))
        return [weather._fate({"path": "/", "method": "POST"}) for _ in range(500)]

    assert fates(3) == fates(3) != fates(4)
    assert {*FATES, ""} == {*fates(3)}


def test_switches() -> None:
    assert parse(("cut:10", "reads:50")) == {"cut": 0.1, "reads": 0.5}
    assert parse(("storm", "cut:0")) == STORM | {"cut": 0}
    assert parse(()) == {}
    for wrong in ("cut", "cut:", "cut:101", "rain:5", "cut:-1"):
        with pytest.raises(UsageError, match="KIND:PERCENT"):
            parse((wrong,))
    with pytest.raises(UsageError, match="110%"):
        parse(("cut:60", "lost:50"))
