"""The server's side of an engine: starts its process, hands it texts to write, and streams back what it writes."""

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from serving.model import metrics, process
from serving.model.errors import RequestError
from serving.model.messages import Event, Failed, Load, Phase, Ready, Refused, Sample, Token

logger = logging.getLogger("serving")

MAX_TEXTS = 1024  # per request
QUEUE = 256  # texts that are written or wait, from which on no more are taken
LONGEST = 60  # seconds that a client is asked to wait, at the most
RESTARTS, WITHIN = 2, 300.0  # so often in so many seconds, a process that ended is started again
_STOP_SECONDS = 5.0  # how long the process may take to end by itself


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole text. `finish` is eos_token, stop_sequence or length."""

    text: str
    finish: str
    prompt_tokens: int
    tokens: int
    details: tuple[Token, ...]

    @property
    def finish_reason(self) -> str:
        """As OpenAI has it: stop or length."""
        return "length" if self.finish == "length" else "stop"


@dataclass(frozen=True, slots=True)
class Options:
    """How an engine works."""

    threads: int | None = None
    """It computes on so many; None: on all that the machine or the container has."""
    cache_gb: int = process.CACHE_GB
    """GB of keys and values in memory, at the most."""
    queue: int = QUEUE
    """While so many texts are written or wait, it takes no request."""


class Engine:
    """A process that writes with one model, and the requests that wait for it.

    The process starts at once, and again where it ends unasked. `attach` the engine to the running event loop, then ask
    `generate` or `complete`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        context: int | None,
        options: Options = Options(),
    ) -> None:
        """`folder` holds the OpenVINO model `name`; prompt and text may have `context` tokens together."""
        self.ready = False
        self.reason: str | None = None
        """Why the engine ended for good, once it has."""
        self._name = name
        self._arguments = (str(folder), context, options.threads, options.cache_gb)
        self._queue = options.queue
        self._on_ready: Callable[[], None]
        self._on_end: Callable[[], None]
        self._stopping = False
        self._ends: list[float] = []  # when its process ended unasked
        self._finished: deque[float] = deque(maxlen=32)  # when the last texts ended
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[int, asyncio.Queue[tuple[int, Event | RequestError]]]] = {}
        self._running: dict[int, tuple[float, int]] = {}  # id → begin, tokens so far; until the text has ended
        self._start()

    def attach(self, on_ready: Callable[[], None], on_end: Callable[[], None]) -> None:
        """Take the process's news in the running event loop from now on.

        `on_ready` is called when the model has answered a first request, `on_end` when the process is gone.
        """
        self._on_ready, self._on_end = on_ready, on_end
        self._take_news_of(asyncio.get_running_loop())

    @property
    def busy(self) -> bool:
        """Whether it writes, or has something to write."""
        return bool(self._running)

    def memory(self) -> int:
        """Bytes that its process has for itself."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return int(psutil.Process(self._process.pid).memory_full_info().uss)
        return 0

    def stop(self) -> None:
        """End the process."""
        self._stopping = True
        if self.ready:
            self._send(None)
            self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def check(self) -> None:
        """Raises RequestError 503 until the engine answers. The message says what it is doing instead."""
        if self.reason:
            raise _stopped(self.reason)
        if not self.ready:
            seconds = time.monotonic() - self._since
            message = f"the model is warming up ({self._doing.what}, {seconds:.0f} s so far): try again in a moment"
            raise RequestError(503, message, code="warming_up", retry_after=1)

    async def generate(self, samples: Sequence[Sample]) -> AsyncGenerator[list[tuple[int, Event]]]:
        """Write the texts together; yields what is new as it comes: (place in `samples`, event) of each.

        Ends after the last event of every text. Raises RequestError. Closing the iterator early cancels what still
        runs.
        """
        self.check()
        if len(samples) > MAX_TEXTS:
            raise RequestError(400, f"n: this request asks for {len(samples)} texts, and {MAX_TEXTS} are the most", "n")
        if len(self._running) >= self._queue:
            after = self._retry_after()
            message = f"{len(self._running)} texts are written or wait: ask again in {after} s"
            raise RequestError(429, message, code="busy", retry_after=after)
        begin = time.monotonic()
        news: asyncio.Queue[tuple[int, Event | RequestError]] = asyncio.Queue()
        ids = [next(self._ids) for _ in samples]
        self._waiting |= {id: (place, news) for place, id in enumerate(ids)}
        self._running |= dict.fromkeys(ids, (begin, 0))
        left, tokens, how = len(ids), 0, "cancelled"
        try:
            self._send(list(zip(ids, samples, strict=True)))
            while left:
                arrived = [await news.get()]
                while not news.empty():
                    arrived.append(news.get_nowait())
                fresh = []
                for place, event in arrived:
                    if isinstance(event, RequestError):
                        how = event.message
                        raise event
                    if event.finish:
                        left -= 1
                        tokens += event.tokens
                    fresh.append((place, event))
                yield fresh
            how = "done"
        finally:
            for id in ids:
                if self._waiting.pop(id, None) and id in self._running:
                    self._send(id)
            logger.info("%d texts, %d tokens in %.2f s: %s", len(ids), tokens, time.monotonic() - begin, how)

    async def complete(self, samples: Sequence[Sample]) -> list[Completion]:
        """Write the texts together and wait for all. Raises RequestError."""
        parts: list[list[str]] = [[] for _ in samples]
        details: list[list[Token]] = [[] for _ in samples]
        done: list[Completion | None] = [None for _ in samples]
        async with contextlib.aclosing(self.generate(samples)) as events:
            async for fresh in events:
                for place, event in fresh:
                    parts[place].append(event.text)
                    details[place] += event.details
                    if event.finish:
                        text, told = "".join(parts[place]), tuple(details[place])
                        done[place] = Completion(text, event.finish, event.prompt_tokens, event.tokens, told)
        return [completion for completion in done if completion]

    def _start(self) -> None:
        self._doing, self._since = Phase("starting a process"), time.monotonic()
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=process.run, args=(*self._arguments, theirs), name="engine")
        self._process.start()
        theirs.close()

    def _take_news_of(self, loop: asyncio.AbstractEventLoop) -> None:
        threading.Thread(target=self._listen, args=(loop, self._pipe), name="engine", daemon=True).start()

    def _retry_after(self) -> int:
        """Seconds until there is room again, if texts end as the last ones did."""
        if len(self._finished) < 2:
            return 1
        each = (time.monotonic() - self._finished[0]) / len(self._finished)
        return min(max(round(each * (len(self._running) - self._queue + 1)), 1), LONGEST)

    def _send(self, message: Any) -> None:
        # A closed pipe: the process is gone, and _end tells everyone.
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    def _listen(self, loop: asyncio.AbstractEventLoop, pipe: Connection) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
            try:
                while True:
                    loop.call_soon_threadsafe(self._take, pipe.recv())
            except (EOFError, OSError):
                loop.call_soon_threadsafe(self._end)

    def _take(self, message: Any) -> None:
        match message:
            case Phase(what, None):
                self._doing, self._since = message, time.monotonic()
            case Phase(what, seconds):
                logger.info("%s: %.2f s", what, seconds)
            case Ready():
                self.ready = True
                self._on_ready()
            case Failed(reason):
                self.reason = f"OpenVINO cannot load the model ({reason})"
            case list():
                for news in message:
                    self._take_news(news)

    def _take_news(self, news: Event | Refused | Load) -> None:
        if isinstance(news, Load):
            metrics.RUNNING.labels(self._name).set(news.running)
            metrics.WAITING.labels(self._name).set(news.waiting)
            metrics.CACHE_USAGE.labels(self._name).set(news.cache_usage)
            return
        if isinstance(news, Event):
            begin, tokens = self._running[news.id]
            metrics.TOKENS.labels(self._name).inc(news.tokens - tokens)
            self._running[news.id] = begin, news.tokens
            if news.finish:
                self._measure(news, begin)
        if isinstance(news, Refused) or news.finish:
            del self._running[news.id]
            self._finished.append(time.monotonic())
        if waiting := self._waiting.get(news.id):
            place, queue = waiting
            if isinstance(news, Refused):
                queue.put_nowait((place, RequestError(news.status, news.message, news.param)))
            else:
                queue.put_nowait((place, news))

    def _measure(self, event: Event, begin: float) -> None:
        """Count a text that has ended."""
        now = time.monotonic()
        how = {"cancelled": "abort", "length": "length"}.get(event.finish or "", "stop")
        metrics.ENDED.labels(self._name, how).inc()
        metrics.PROMPT_TOKENS.labels(self._name).inc(event.prompt_tokens)
        if event.first_at is not None:
            metrics.FIRST_TOKEN.labels(self._name).observe(event.first_at - begin)
            if event.tokens > 1:
                metrics.EACH_TOKEN.labels(self._name).observe((now - event.first_at) / (event.tokens - 1))
        metrics.WHOLE_TEXT.labels(self._name).observe(now - begin)

    def _end(self) -> None:
        """The process is gone: fail what waits for it, and start another, unless that has been of no use."""
        self.ready = False
        self._process.join()
        code = self._process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        memory = ", as the kernel does when memory runs out" if code == -signal.SIGKILL else ""
        reason = self.reason or f"its process ended ({how}{memory})"
        self._running.clear()
        self._take_news(Load(0, 0, 0.0))
        for place, queue in self._waiting.values():
            queue.put_nowait((place, _stopped(reason)))
        self._ends = [end for end in self._ends if end > time.monotonic() - WITHIN] + [time.monotonic()]
        if self._stopping or self.reason or len(self._ends) > RESTARTS:
            self.reason = reason
            self._on_end()
            return
        logger.warning("the engine has stopped: %s; it is started again", reason)
        self._start()
        self._take_news_of(asyncio.get_running_loop())


def _stopped(reason: str) -> RequestError:
    return RequestError(503, f"the engine has stopped: {reason}", code="engine_stopped", retry_after=1)
