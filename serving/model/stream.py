"""Server-sent events: an answer that the client reads while it is written.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any

import orjson
from fastapi.responses import StreamingResponse

from serving.model.errors import RequestError
from serving.model.messages import Event

# So that proxies do not hold the stream back; the second one is nginx's.
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def stream_response(
    events: AsyncGenerator[list[tuple[int, Event]]],
    chunk: Callable[[int, Event], Any],
    error_body: Callable[[RequestError], Any],
    begin: Callable[[], Iterable[Any]] = tuple,
    end: Callable[[], Iterable[Any]] = tuple,
) -> StreamingResponse:
    """A stream of what `begin` gives, the engine's `events`, each as the JSON that `chunk` makes of it, and what `end`
    gives.

    What comes together is sent together: with many texts at once, sending costs more than writing the JSON.

    Raises RequestError where the engine refuses before the first event. A later one ends the stream, as the JSON that
    `error_body` makes of it.
    """
    first = await anext(events)

    async def lines() -> AsyncIterator[bytes]:
        async with contextlib.aclosing(events):
            try:
                yield b"".join(map(_line, (*begin(), *(chunk(*one) for one in first))))
                async for fresh in events:
                    yield b"".join(_line(chunk(*one)) for one in fresh)
            except RequestError as error:
                yield _line(error_body(error))
                return
        for data in end():
            yield _line(data)

    return StreamingResponse(lines(), media_type="text/event-stream", headers=_HEADERS)


def _line(data: Any) -> bytes:
    return b"data: " + (data.encode() if isinstance(data, str) else orjson.dumps(data)) + b"\n\n"
