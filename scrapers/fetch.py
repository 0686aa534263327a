"""Downloads over HTTP that have limits of size and time, and cannot be led into a private network."""

import asyncio
import ipaddress
import socket
import ssl
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

import mynah
from mynah.errors import MynahError
from mynah.retry_after import retry_after
from mynah.settings import AllowPrivate

T = TypeVar("T")

USER_AGENT = f"mynah/{mynah.__version__}"
HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
TIMEOUT = httpx.Timeout(10, read=60)  # seconds without a sign of life
MAX_SECONDS = 300  # for all of it: names, redirects, headers and body
# Of a body, decoded: JSON of this size with an emoji in it takes 350 MiB to read, and a scraper's pod has 512.
MAX_BYTES = 32 << 20
MAX_REDIRECTS = 10
BUSY = {429, 502, 503, 504}  # what a server answers that may be asked again
BACK_OFF = (1.0, 5.0, 25.0)  # seconds until it is, where it names no time itself
MAX_WAIT = 60.0  # seconds: a server that asks for a longer time has said no
DECODED_AT_ONCE = 1 << 20  # bytes: a gzip of one kilobyte may hold a megabyte


class NoAnswer(MynahError):
    """An address gives no good answer: another time, or another page of it, may do better."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """What the server answered; None where it gave no whole answer at all."""


@dataclass(frozen=True)
class Fetched:
    """What an address answered."""

    body: bytes | None
    """None where it is still the version that was named."""
    version: str | None
    """The server's ETag for this body, else the time of its last change; None where it gives neither."""
    url: str
    """Where the body lies, at the end of all redirects."""
    content_type: str = ""
    """As the server wrote it, e.g. text/html; charset=utf-8."""
    cut: bool = False
    """Whether there is more of it, which was not read."""

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; "" where the server names none."""
        return self.content_type.partition(";")[0].strip().lower()


def anywhere(url: str) -> AbstractAsyncContextManager[None]:
    """Lets every request go at once."""
    return nullcontext()


@dataclass(frozen=True)
class Wish:
    """What is wanted of a download, beside its address."""

    version: str | None = None
    """A body that is still this version is not sent again."""
    media_types: tuple[str, ...] = ()
    """A body of another type is refused before it is read; one of no type is not. Empty: any."""
    cut_at: int | None = None
    """Read no more than so many bytes, and call that cut off; without it, a body that is too long is refused."""
    turn: Callable[[str], AbstractAsyncContextManager[None]] = anywhere
    """Entered for each address on the way, and left when its answer was read; it may wait, or raise MynahError."""


def fetch(url: str, allow_private: AllowPrivate = False, version: str | None = None) -> Fetched:
    """The body behind an http(s) address, redirects followed.

    Every address on the way must be a public one unless `allow_private` says so, of all or of its host: an address in
    a bot file must not read the cloud's metadata service or a neighbour's database. A body that is still `version` is
    not sent again. A server that is busy is asked again, a few times. Raises MynahError with one line where the
    addresses are not so, where there is no good answer (NoAnswer), or too long a one.
    """

    async def one() -> Fetched:
        async with new_client(allow_private) as client:
            return await download(client, url, Wish(version))

    return asyncio.run(one())


def new_client(allow_private: AllowPrivate) -> httpx.AsyncClient:
    """What `download` asks with. It keeps connections, and lets none lead to a private address."""

    named = allow_private if isinstance(allow_private, frozenset) else frozenset[str]()

    async def check_before(request: httpx.Request) -> None:
        host = request.url.host
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, request.url.port or 443, type=socket.SOCK_STREAM)
        except socket.gaierror:
            raise _Unknown(host) from None
        for *_, address in found:
            refuse_private(host, str(address[0]))

    async def check_after(response: httpx.Response) -> None:
        # The name may have come to mean another address between the check and the connection.
        stream = response.extensions.get("network_stream")
        if stream and (peer := stream.get_extra_info("server_addr")):
            refuse_private(response.request.url.host, str(peer[0]))

    def refuse_private(host: str, address: str) -> None:
        if host not in named and not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise _Private(host, address)

    if allow_private is True:
        # Proxies of the environment only here: the addresses checked would be the proxy's.
        return httpx.AsyncClient(transport=_transport(), timeout=TIMEOUT, headers=HEADERS, trust_env=True)
    hooks: dict[str, list[Callable[..., object]]] = {"request": [check_before], "response": [check_after]}
    return httpx.AsyncClient(
        transport=_transport(), timeout=TIMEOUT, headers=HEADERS, trust_env=False, event_hooks=hooks
    )


def _transport() -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(retries=2, verify=_trusted())


@cache
def _trusted() -> ssl.SSLContext:
    """The system's certificates; to read them takes longer than many a download."""
    return ssl.create_default_context()


class _Private(Exception):
    """A host, and its address, which is private and may not be asked."""


class _Unknown(Exception):
    """A host that no name server knows."""


async def download(client: httpx.AsyncClient, url: str, wish: Wish) -> Fetched:
    """As `fetch`, with a client of `new_client` and what else is wished for."""
    headers = {}
    if wish.version:  # told apart as If-Range does (RFC 9110, 13.1.5)
        headers["If-None-Match" if '"' in wish.version[:3] else "If-Modified-Since"] = wish.version

    async def read(response: httpx.Response) -> Fetched:
        return await _read(url, response, wish)

    with _one_line(url, _instead(wish)):
        return await _follow(client, url, headers, _send, read, wish.turn)


def ask(url: str, allow_private: AllowPrivate = False, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """What an http(s) address answers, good or not, with its whole body: `fetch` that does not wait for a busy server.

    Raises MynahError with one line where there is no answer, or too long a one.
    """

    async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        return await client.send(request, stream=True)

    async def read(response: httpx.Response) -> httpx.Response:
        body, cut = await _body(url, response, MAX_BYTES)
        if cut:
            raise MynahError(f"{url}: is longer than {MAX_BYTES >> 20} MiB")
        kept = [(name, value) for name, value in response.headers.items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=kept, content=body, request=response.request)

    async def one() -> httpx.Response:
        async with new_client(allow_private) as client:
            return await _follow(client, url, headers or {}, send, read, anywhere)

    with _one_line(url, ""):
        return asyncio.run(one())


@contextmanager
def _one_line(url: str, instead: str) -> Iterator[None]:
    """Whatever goes wrong with a download is a MynahError of one line."""
    try:
        yield
    except TimeoutError:
        raise NoAnswer(f"{url}: did not come within {MAX_SECONDS} s{instead}") from None
    except _Private as error:
        host, address = error.args
        raise MynahError(
            f"{url}: leads to the private address {address}; if that is meant, set MYNAH_ALLOW_PRIVATE={host}"
        ) from None
    except _Unknown as error:
        raise NoAnswer(f"{url}: host {error} is not known: check the address and the network") from None
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise NoAnswer(f"{url}: answers {status} {error.response.reason_phrase}", status) from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        where = urlsplit(url).hostname or "the address"
        raise NoAnswer(f"{url}: {where} gives no whole answer: {error or type(error).__name__}") from None


async def _follow(
    client: httpx.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    send: Callable[[httpx.AsyncClient, httpx.Request], Awaitable[httpx.Response]],
    read: Callable[[httpx.Response], Awaitable[T]],
    turn: Callable[[str], AbstractAsyncContextManager[None]],
) -> T:
    request = client.build_request("GET", url, headers={**headers, "Accept-Encoding": "gzip"})
    left = float(MAX_SECONDS)  # the time that a turn is waited for does not count
    for _ in range(MAX_REDIRECTS):
        async with turn(str(request.url)):
            begin = time.monotonic()
            async with asyncio.timeout(left):
                # httpx, when it follows a redirect itself, first reads the body that comes with it, however long.
                response = await send(client, request)
                try:
                    if response.next_request is None:
                        return await read(response)
                    request = response.next_request
                finally:
                    await response.aclose()
            left -= time.monotonic() - begin
    raise NoAnswer(f"{url}: is redirected more than {MAX_REDIRECTS} times")


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The answer to `request`, which is sent again to a server that is busy."""
    for pause in BACK_OFF:
        response = await client.send(request, stream=True)
        said = retry_after(response)
        wait = pause if said is None else max(0.0, said)
        if response.status_code not in BUSY or wait > MAX_WAIT:
            return response
        await response.aclose()
        print(
            f"{request.url.host} answers {response.status_code}: asking it again in {wait:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        await asyncio.sleep(wait)
    return await client.send(request, stream=True)


async def _read(url: str, response: httpx.Response, wish: Wish) -> Fetched:
    """The body of a good answer, as long as it is not too long."""
    where = str(response.url)
    if response.status_code == httpx.codes.NOT_MODIFIED and wish.version:
        return Fetched(None, wish.version, where)
    response.raise_for_status()
    version = response.headers.get("etag") or response.headers.get("last-modified")
    fetched = Fetched(b"", version, where, response.headers.get("content-type", ""))
    if wish.media_types and fetched.media_type and fetched.media_type not in wish.media_types:
        raise MynahError(f"{url}: is {fetched.media_type}, and not {' or '.join(wish.media_types)}")
    limit = wish.cut_at or MAX_BYTES
    body, cut = await _body(url, response, limit, whole=wish.cut_at is None)
    if cut and wish.cut_at is None:
        raise MynahError(f"{url}: is longer than {limit >> 20} MiB{_instead(wish)}")
    return replace(fetched, body=body, cut=cut)


async def _body(url: str, response: httpx.Response, limit: int, whole: bool = True) -> tuple[bytes, bool]:
    """The first `limit` bytes of the body, and whether there are more; none, where only the `whole` is of use."""
    promised = response.headers.get("content-length", "")
    if whole and promised.isdecimal() and int(promised) > limit:
        return b"", True
    body = bytearray()
    async for chunk in _decoded(url, response):
        body += chunk
        if len(body) > limit:
            return bytes(body[:limit]), True
    return bytes(body), False


def _instead(wish: Wish) -> str:
    """What to do about it, where the download is a source of its own and not one page of many."""
    return ": download it yourself, and name the file" if wish.cut_at is None else ""


async def _decoded(url: str, response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in pieces, none of them large: httpx would unpack all of a network packet at once."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise NoAnswer(f"{url}: answers in the encoding {encoding}, which was not asked for")
    if encoding == "identity":
        async for chunk in response.aiter_raw():
            yield chunk
        return
    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        async for chunk in response.aiter_raw():
            while chunk and not gzip.eof:
                yield gzip.decompress(chunk, DECODED_AT_ONCE)
                chunk = gzip.unconsumed_tail
    except zlib.error as error:
        raise NoAnswer(f"{url}: is not the gzip that it says it is: {error}") from None
    if not gzip.eof:
        raise NoAnswer(f"{url}: ends in the middle of its gzip")
