"""The services of the storm, each at its worst: X and Mastodon as simulators, Bluesky's own server behind a proxy."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mynah.journal import Journal, opened
from simulators.hostile import STORM, Hostile
from simulators.mastodon import api as mastodon_api
from simulators.x import api as x_api
from simulators.x.billing import Bill
from tests import bluesky
from tests.loopback import app_served

LATE = 0.5  # seconds
SHARED = Path(__file__).parents[3] / "shared/bluesky"


@dataclass(frozen=True)
class Service:
    """Where posters post to."""

    name: str
    section: dict[str, str]
    """The account's, in the bot file."""
    environment: dict[str, str]
    weather: Hostile
    texts: Callable[[], list[str]]
    """All that is posted there."""
    dollars: Callable[[], float]
    """What reading has cost."""


def _posted(journal: Journal) -> list[str]:
    return [line["text"] for line in journal.lines if line.get("event") == "posted"]


@contextmanager
def _x(folder: Path, seed: int) -> Iterator[Service]:
    bill = Bill()
    with opened(folder / "x.jsonl") as journal:
        app = x_api.application(journal, bill=bill, window=0.1, ahead=90, lag=0.3)
        weather = Hostile(app, STORM, seed, x_api.API, x_api.refusal, LATE)
        with app_served(weather) as url:
            environment = {**x_api.DEMO_KEYS, "X_API_URL": url}
            yield Service("x", {"kind": "x"}, environment, weather, lambda: _posted(journal), lambda: bill.dollars)


@contextmanager
def _mastodon(folder: Path, seed: int) -> Iterator[Service]:
    with opened(folder / "mastodon.jsonl") as journal:
        # It forgets keys at once: what is posted once must not rest on them.
        how: dict[str, Any] = {"window": 0.1, "ahead": -90, "lag": 0.3, "work": 0.05, "key_kept": 0.5}
        app = mastodon_api.application(journal, repeats_fail=seed % 2 == 0, **how)
        weather = Hostile(app, STORM, seed, mastodon_api.API, mastodon_api.refusal, LATE)
        with app_served(weather) as url:
            section = {"kind": "mastodon", "server": url}
            environment = {"MASTODON_ACCESS_TOKEN": mastodon_api.DEMO_TOKEN}
            yield Service("mastodon", section, environment, weather, lambda: _posted(journal), lambda: 0.0)


@contextmanager
def _bluesky(folder: Path, seed: int) -> Iterator[Service]:
    with bluesky.server(SHARED, folder) as server:
        handle = bluesky.new_account(server, f"storm{secrets.token_hex(4)}")
        weather = Hostile(proxy(server), STORM, seed, "/xrpc/", _refusal, LATE)
        with app_served(weather) as url:
            section = {"kind": "bluesky", "server": url, "handle": handle}
            # Nobody counts likes there.
            environment = {"BLUESKY_APP_PASSWORD": bluesky.PASSWORD, "BLUESKY_URL": server}

            def texts() -> list[str]:
                return [str(record["value"]["text"]) for record in bluesky.records(server, handle)]  # type: ignore[index]

            yield Service("bluesky", section, environment, weather, texts, lambda: 0.0)


def proxy(server: str) -> Starlette:
    """Hands requests on to a server, and its answers back."""

    async def hand_on(request: Request) -> Response:
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        async with httpx.AsyncClient(timeout=30) as http:
            address = f"{server}{request.url.path}?{request.url.query}"
            answer = await http.request(request.method, address, content=await request.body(), headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return Starlette(routes=[Route("/{path:path}", hand_on, methods=["GET", "POST"])])


def _refusal(status: int) -> Response:
    # As the real server does: else a sign-in is tried again after minutes, when the storm is over.
    headers = {"ratelimit-reset": f"{time.time() + 2:.0f}"} if status == 429 else None
    return JSONResponse({"error": "NotNow", "message": f"{status}"}, status, headers)


SERVICES = {"x": _x, "mastodon": _mastodon, "bluesky": _bluesky}


@contextmanager
def opened_service(name: str, folder: Path, seed: int) -> Iterator[Service]:
    """The service, at its worst, with its files in `folder`. Raises KeyError where there is none of this name."""
    folder.mkdir(parents=True)
    with SERVICES[name](folder, seed) as service:
        yield service
