"""What Prometheus reads of the requests: how many ended with which status, and how long they took."""

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("mynah_requests", "requests answered, by status; 499: the client hung up first", ["status"])
SECONDS = Histogram(
    "mynah_request_seconds",
    "seconds from a request to the whole of its answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
UNMEASURED = ("/metrics", "/v2/health/", "/docs", "/openapi")  # probes and scrapes would drown the rest
CLIENT_GONE = 499  # nginx's number: the client hung up before its answer was whole, and the server is not at fault


class Measured:
    """ASGI middleware. It must be outside of CancelOnDisconnect, which is the one that listens for a hang-up."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNMEASURED):
            await self.app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500  # of an application that raises before it answers
        whole = gone = False

        async def watched_send(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                whole = not message.get("more_body", False)
            await send(message)

        async def watched_receive() -> Message:
            nonlocal gone
            message = await receive()
            if message["type"] == "http.disconnect" and not whole:
                gone = True
            return message

        try:
            await self.app(scope, watched_receive, watched_send)
        finally:
            REQUESTS.labels(CLIENT_GONE if gone else status).inc()
            SECONDS.observe(time.monotonic() - begin)
