"""Middleware: a client that hangs up ends its request, so that the engine writes no text for nobody."""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CancelOnDisconnect:
    """Runs each HTTP request as a task, and cancels it when the client goes before its answer is whole.

    Starlette does so for streams only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue()
        answered = False

        async def watched_send(message: Message) -> None:
            nonlocal answered
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def listen() -> None:
            while True:
                message = await receive()
                messages.put_nowait(message)
                if message["type"] == "http.disconnect":
                    if not answered:
                        request.cancel("the client is gone")
                    return

        request = asyncio.ensure_future(self.app(scope, messages.get, watched_send))
        listener = asyncio.create_task(listen())
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await request
        finally:
            request.cancel()
            listener.cancel()
