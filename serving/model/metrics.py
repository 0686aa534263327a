"""What Prometheus reads of the requests: how many ended with which status, and how long they took."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import Counter, Histogram

REQUESTS = Counter("mynah_requests", "requests answered, by status", ["status"])
SECONDS = Histogram(
    "mynah_request_seconds",
    "seconds from a request to the whole of its answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
UNMEASURED = ("/metrics", "/v2/health/", "/docs", "/openapi")  # probes and scrapes would drown the rest

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Measured:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNMEASURED):
            await self.app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500  # of an application that raises before it answers

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            REQUESTS.labels(status).inc()
            SECONDS.observe(time.monotonic() - begin)
