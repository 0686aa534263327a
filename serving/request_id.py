"""Which request it is: what its client calls it, or we do. The answer says it, and so does every line of the log."""

import logging
import uuid
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
LONGEST = 128  # characters of a client's
_ID: ContextVar[str] = ContextVar("request_id", default="-")


class Identified:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), "")
        id = adopt(given)

        async def named_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, id.encode())]
            await send(message)

        await self.app(scope, receive, named_send)


def adopt(given: str) -> str:
    """Begin a request that its client calls `given`; its id.

    What is no plain word is not taken: it would let a client write lines of its own into the log.
    """
    plain = given.isascii() and given.isprintable() and " " not in given and len(given) <= LONGEST
    id = given if given and plain else uuid.uuid4().hex
    _ID.set(id)
    return id


class WithRequestId(logging.Filter):
    """Gives each record of the log the id of the request that it is about, or -."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _ID.get()
        return True
