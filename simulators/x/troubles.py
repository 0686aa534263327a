"""What goes wrong at the simulated X when it is read: refusals, errors in a good answer, slow and cut-off replies."""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response, StreamingResponse

from mynah.errors import UsageError
from simulators.x.account import PROBLEMS

SLOW = 60.0  # seconds that a slow reply takes: longer than a client waits

_FORBIDDEN = "When authenticating requests to the X API v2 endpoints, you must use keys of an App in a Project."
REFUSALS: dict[str, tuple[int, str, str, str]] = {
    "401": (401, "Unauthorized", "Unauthorized", "about:blank"),
    "402": (402, "CreditsDepleted", "Your enrolled account has no credits left.", PROBLEMS + "credits"),
    "403": (403, "Forbidden", "Forbidden", "about:blank"),
    "app": (403, "Client Forbidden", _FORBIDDEN, PROBLEMS + "client-forbidden"),
    "404": (404, "Not Found", "Not Found", "about:blank"),
    "429": (429, "Too Many Requests", "Too Many Requests", "about:blank"),
    "503": (503, "Service Unavailable", "Service Unavailable", "about:blank"),
}
"""What a Refusal is made of."""
KINDS = (*REFUSALS, "errors", "alone", "empty", "slow", "cut")
"""`app` is a 403 about the app; `errors` stand beside the data, or `alone`; `empty` is an answer without either."""


@dataclass
class Troubles:
    """Which of the requests that read get one of KINDS."""

    every: dict[str, int] = field(default_factory=dict)
    """With {"503": 3}, every third request gets a 503."""
    planned: deque[str] = field(default_factory=deque)
    """The next requests get these, each of KINDS or "" for none."""
    had: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    def next(self) -> str:
        """What goes wrong with the request that is at hand; "" for nothing."""
        self.asked += 1
        kind = self.planned.popleft() if self.planned else ""
        kind = kind or next((kind for kind, every in self.every.items() if self.asked % every == 0), "")
        self.had[kind] += 1
        return kind


def parse(switches: tuple[str, ...]) -> Troubles:
    """KIND or KIND:EVERY, each → Troubles. Raises UsageError."""
    every = {}
    for switch in switches:
        kind, _, number = switch.partition(":")
        if kind not in KINDS or not (number or "1").isdecimal() or int(number or "1") < 1:
            raise UsageError(f"--trouble {switch}: write KIND or KIND:EVERY, such as 503:3; kinds: {', '.join(KINDS)}")
        every[kind] = int(number or "1")
    return Troubles(every)


def spoiled(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """A good answer as this trouble leaves it."""
    if kind == "errors":
        error = {"title": "Not Found Error", "detail": "Could not find tweet with referenced_tweets.id: [1]."}
        error |= {"parameter": "referenced_tweets.id", "resource_type": "tweet", "value": "1", "resource_id": "1"}
        return {**body, "errors": [error | {"type": PROBLEMS + "resource-not-found"}]}
    if kind == "alone":
        error = {"title": "Internal Error", "detail": "Something went wrong.", "type": PROBLEMS + "internal-error"}
        return {"errors": [error]}
    return {} if kind == "empty" else body


def delivered(kind: str, body: dict[str, Any], headers: dict[str, str]) -> Response:
    """The answer on its way, where that is slow, or ends in the middle."""
    data = json.dumps(body).encode()

    async def parts() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        if kind == "slow":
            end = time.monotonic() + SLOW
            while time.monotonic() < end:
                await asyncio.sleep(0.05)  # in pieces, so that a server that stops need not wait
            yield data[len(data) // 2 :]

    length = {"content-type": "application/json", "content-length": str(len(data))}
    return StreamingResponse(parts(), headers=headers | length)
