"""What goes wrong between a client and a service: ASGI middleware that every simulator can stand behind.

The requests that change something (POST) meet one of FATES, those that read fail. The pages for people do not.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.responses import HTMLResponse, Response

from mynah.errors import UsageError

LATE = 2.0  # seconds
FATES = {
    "lost": "the connection is cut and nothing is done",
    "503": "it is refused and nothing is done",
    "429": "it is refused and nothing is done",
    "cut": "it is done and the connection is cut before the answer",
    "half": "it is done and half of the answer arrives",
    "late": f"it is done and answered {LATE:.0f} seconds later",
    "after": "it is done and answered with 503",
    "broken": "it is done and answered with a page of HTML",
    "later": f"the connection is cut, and it is done {LATE:.0f} seconds later",
    "504": f"it is answered with 504, and done {LATE:.0f} seconds later",
}
"""What may become of a request that changes something."""
READS = "reads"
"""Beside FATES: a request that reads is refused with 503, cut off, or answered by half."""
STORM = {**dict.fromkeys(FATES, 0.07), READS: 0.25}
"""The odds of everything at once."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Hostile:
    """A service as its worst day shows it.

    `odds` has the probability of each of FATES and of READS. `api` is what the paths begin with that go wrong.
    `refusal` makes the service's own answer with a status that refuses. `late`: the seconds of FATES. The same seed
    brings the same fates, for the same requests in the same order.
    """

    def __init__(
        self,
        app: App,
        odds: Mapping[str, float],
        seed: int,
        api: str,
        refusal: Callable[[int], Response],
        late: float = LATE,
    ) -> None:
        self.app, self.odds, self.api, self.refusal, self.late = app, odds, api, refusal, late
        self.raging = True
        self.reads = 0
        """Requests that read, until now."""
        self._random = random.Random(seed)  # noqa: S311 — no secret
        self._later: set[asyncio.Task[list[Message]]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.reads += scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(self.api)
        fate = self._fate(scope) if self.raging and scope["type"] == "http" else ""
        if not fate:
            await self.app(scope, receive, send)
            return
        body = await _whole(receive)
        if fate in ("later", "504"):
            task = asyncio.create_task(self._answer(scope, body, self.late))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        answer = [] if fate in ("lost", "503", "429", "later", "504") else await self._answer(scope, body)
        if fate in ("lost", "later", "cut"):
            await _cut(send)
        elif fate in ("503", "429", "504", "after"):
            await self.refusal(503 if fate == "after" else int(fate))(scope, receive, send)
        elif fate == "broken":
            await HTMLResponse("<h1>It works!</h1>")(scope, receive, send)
        elif fate == "half":
            for message in answer:
                if message["type"] == "http.response.body":
                    data = message["body"]
                    await send({**message, "body": data[: len(data) // 2], "more_body": True})
                    await _cut(send)
                    return
                await send(message)
        else:
            await asyncio.sleep(self.late)
            for message in answer:
                await send(message)

    def _fate(self, scope: Message) -> str:
        """One of FATES; "" for none."""
        if not scope["path"].startswith(self.api):
            return ""
        drawn = self._random.random()
        if scope["method"] == "GET":
            return self._random.choice(["503", "cut", "half"]) if drawn < self.odds.get(READS, 0) else ""
        for fate in FATES:
            drawn -= self.odds.get(fate, 0)
            if drawn < 0:
                return fate
        return ""

    async def _answer(self, scope: Message, body: bytes, pause: float = 0) -> list[Message]:
        """Have the service do what a request asks, after a pause: what it answers."""
        await asyncio.sleep(pause)
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        return messages


def parse(switches: tuple[str, ...]) -> dict[str, float]:
    """KIND:PERCENT each, or `storm`, which is STORM → the odds for Hostile. Raises UsageError."""
    odds: dict[str, float] = {}
    for switch in switches:
        if switch == "storm":
            odds = STORM | odds
            continue
        kind, _, percent = switch.partition(":")
        if kind not in (*FATES, READS) or not percent.isdecimal() or int(percent) > 100:
            kinds = ", ".join((*FATES, READS))
            raise UsageError(f"--hostile {switch}: write storm, or KIND:PERCENT such as cut:10; kinds: {kinds}")
        odds[kind] = int(percent) / 100
    if (total := sum(odds.get(fate, 0) for fate in FATES)) > 1:
        raise UsageError(f"--hostile: {total:.0%} of the requests would go wrong: write less than 100 in all")
    return odds


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _cut(send: Send) -> None:
    """End the connection, in the middle of an answer or without one. Uvicorn has no word for it; `send` is its own."""
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    cycle.transport.close()
    while not cycle.disconnected:
        await asyncio.sleep(0)
