"""Many downloads of one scrape: robots.txt is obeyed, a host is asked for one thing at a time, hosts side by side."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from mynah.errors import MynahError
from mynah.settings import AllowPrivate
from scrapers import robots
from scrapers.fetch import Fetched, NoAnswer, Wish, download, new_client
from scrapers.robots import Robots, read_robots

FAILURES = 3  # one after the other, after which a host is left alone for the rest of a scrape


class Forbidden(MynahError):
    """robots.txt forbids this address."""


class Closed(MynahError):
    """Nothing of this host is asked for, in this scrape."""


@dataclass
class _Host:
    """What is known of one host."""

    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked_at: float = 0.0  # when the last answer had been read, by the monotonic clock
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)  # for its robots.txt
    robots: Robots | None = None
    failures: int = 0

    @property
    def is_closed(self) -> bool:
        return self.robots is not None and self.robots.rules is None


class Crawl:
    """Downloads that share connections. Between two requests to one host there are `pause` seconds, or what its
    robots.txt asks for, if that is longer."""

    def __init__(self, allow_private: AllowPrivate, pause: float) -> None:
        self._allow_private = allow_private
        self._pause = pause
        self._hosts: dict[str, _Host] = {}

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient = new_client(self._allow_private)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def each(self, wishes: Mapping[str, Wish]) -> Iterator[tuple[str, Fetched | MynahError]]:
        """Every address with its answer, or with why there is none, as they come; of one host in the given order.

        Where a host says 429, or nothing good several times, the rest of its addresses is passed over: the last one
        that was asked for comes with Closed.
        """
        waiting: dict[str, deque[str]] = {}
        for url in wishes:
            waiting.setdefault(_origin(url), deque()).append(url)
        tasks: dict[asyncio.Task[Fetched | MynahError], str] = {}
        try:
            while waiting or tasks:
                at_work = {_origin(url) for url in tasks.values()}
                for origin in [origin for origin in waiting if origin not in at_work]:
                    url = waiting[origin].popleft()
                    if not waiting[origin]:
                        del waiting[origin]
                    work = self._answer(url, replace(wishes[url], turn=self._turn))
                    tasks[self._runner.get_loop().create_task(work)] = url
                done, _ = self._runner.run(_first(tasks))
                for task in done:
                    url, answer = tasks.pop(task), task.result()
                    # Not where it is only the host of a redirect that is closed.
                    closed = isinstance(answer, Closed) and self._host(url).is_closed
                    if closed and (rest := waiting.pop(_origin(url), None)):
                        answer = Closed(f"{answer}; {len(rest):,} more addresses of it were passed over")
                    yield url, answer
        finally:
            for task in tasks:
                task.cancel()

    async def _answer(self, url: str, wish: Wish) -> Fetched | MynahError:
        host = self._host(url)
        try:
            fetched = await download(self._client, url, wish)
        except NoAnswer as error:
            failed = error.status is None or error.status == 429 or error.status >= 500
            host.failures = host.failures + 1 if failed else 0
            if error.status == 429 or host.failures >= FAILURES:
                host.robots = Robots(None, f"{error}; its host is left alone until the next scrape")
                return Closed(host.robots.why)
            return error
        except MynahError as error:
            return error
        host.failures = 0
        return fetched

    @asynccontextmanager
    async def _turn(self, url: str) -> AsyncIterator[None]:
        """What is waited for before `url` may be asked for."""
        host = self._host(url)
        if not url.startswith(("http://", "https://")):  # of a redirect; httpx says what is wrong with it
            yield
            return
        async with host.asking:
            if host.robots is None:
                host.robots = await self._robots(_origin(url))
        if host.is_closed:
            raise Closed(host.robots.why)
        if not host.robots.allows(url):
            raise Forbidden(f"{url}: is forbidden by its host's robots.txt")
        async with self._alone(url, max(self._pause, host.robots.delay)):
            yield

    @asynccontextmanager
    async def _alone(self, url: str, pause: float | None = None) -> AsyncIterator[None]:
        host = self._host(url)
        async with host.busy:
            ready = host.asked_at + (self._pause if pause is None else pause)
            await asyncio.sleep(ready - time.monotonic() if host.asked_at else 0)
            try:
                yield
            finally:
                host.asked_at = time.monotonic()

    async def _robots(self, origin: str) -> Robots:
        wish = Wish(cut_at=robots.MAX_BYTES, turn=self._alone)
        try:
            return read_robots(await download(self._client, f"{origin}/robots.txt", wish))
        except NoAnswer as error:
            return read_robots(error)

    def _host(self, url: str) -> _Host:
        return self._hosts.setdefault(_origin(url), _Host())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _first(
    tasks: Mapping["asyncio.Task[Fetched | MynahError]", str],
) -> tuple[set["asyncio.Task[Fetched | MynahError]"], set["asyncio.Task[Fetched | MynahError]"]]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
