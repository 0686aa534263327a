"""Downloads over HTTP that have limits of size and time, and cannot be led into a private network."""

import asyncio
import ipaddress
import socket
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from mynah.errors import MynahError
from mynah.retry_after import retry_after

T = TypeVar("T")

TIMEOUT = httpx.Timeout(10, read=60)  # seconds without a sign of life
MAX_SECONDS = 300  # for all of it: names, redirects, headers and body
# Of a body, decoded: JSON of this size with an emoji in it takes 350 MiB to read, and a scraper's pod has 512.
MAX_BYTES = 32 << 20
MAX_REDIRECTS = 10
BUSY = {429, 502, 503, 504}  # what a server answers that may be asked again
BACK_OFF = (1.0, 5.0, 25.0)  # seconds until it is, where it names no time itself
MAX_WAIT = 60.0  # seconds: a server that asks for a longer time has said no
DECODED_AT_ONCE = 1 << 20  # bytes: a gzip of one kilobyte may hold a megabyte


@dataclass(frozen=True)
class Fetched:
    """What an address answered."""

    body: bytes | None
    """None where it is still the version that was named."""
    version: str | None
    """The server's ETag for this body, else the time of its last change; None where it gives neither."""


def fetch(url: str, allow_private: bool = False, version: str | None = None) -> Fetched:
    """The body behind an http(s) address, redirects followed.

    Every address on the way must be a public one unless `allow_private`: an address in a bot file must not read the
    cloud's metadata service or a neighbour's database. A body that is still `version` is not sent again.
    A server that is busy is asked again, a few times. Raises MynahError with one line where the addresses are not so,
    where there is no good answer, or too long a one.
    """
    headers = {}
    if version:  # told apart as If-Range does (RFC 9110, 13.1.5)
        headers["If-None-Match" if '"' in version[:3] else "If-Modified-Since"] = version

    async def read(response: httpx.Response) -> Fetched:
        if response.status_code == httpx.codes.NOT_MODIFIED and version:
            return Fetched(None, version)
        response.raise_for_status()
        body = await _body(url, response)
        return Fetched(body, response.headers.get("etag") or response.headers.get("last-modified"))

    return _within_limits(url, lambda: _ask(url, allow_private, headers, _send, read))


def ask(url: str, allow_private: bool = False, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """What an http(s) address answers, good or not, with its whole body: `fetch` that does not wait for a busy server.

    Raises MynahError with one line where there is no answer, or too long a one.
    """

    async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        return await client.send(request, stream=True)

    async def read(response: httpx.Response) -> httpx.Response:
        body = await _body(url, response)
        kept = [(name, value) for name, value in response.headers.items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=kept, content=body, request=response.request)

    return _within_limits(url, lambda: _ask(url, allow_private, headers or {}, send, read))


def _within_limits(url: str, asked: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(MAX_SECONDS):
            return await asked()

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        raise MynahError(
            f"{url}: did not come within {MAX_SECONDS} s: download it yourself, and name the file"
        ) from None
    except httpx.HTTPStatusError as error:
        raise MynahError(f"{url}: answers {error.response.status_code} {error.response.reason_phrase}") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        where = urlsplit(url).hostname or "the address"
        raise MynahError(f"{url}: {where} gives no whole answer: {error or type(error).__name__}") from None


async def _ask(
    url: str,
    allow_private: bool,
    headers: Mapping[str, str],
    send: Callable[[httpx.AsyncClient, httpx.Request], Awaitable[httpx.Response]],
    read: Callable[[httpx.Response], Awaitable[T]],
) -> T:
    async def check_before(request: httpx.Request) -> None:
        host = request.url.host
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, request.url.port or 443, type=socket.SOCK_STREAM)
        except socket.gaierror:
            raise MynahError(f"{url}: host {host} is not known: check the address and the network") from None
        for *_, address in found:
            refuse_private(str(address[0]))

    async def check_after(response: httpx.Response) -> None:
        # The name may have come to mean another address between the check and the connection.
        stream = response.extensions.get("network_stream")
        if stream and (peer := stream.get_extra_info("server_addr")):
            refuse_private(str(peer[0]))

    def refuse_private(address: str) -> None:
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise MynahError(
                f"{url}: leads to the private address {address}; set MYNAH_ALLOW_PRIVATE=1 if that is meant"
            )

    hooks: dict[str, list[Callable[..., object]]] = {"request": [check_before], "response": [check_after]}
    # Proxies of the environment only with allow_private: the addresses checked would be the proxy's.
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(retries=2, verify=_trusted()),
        timeout=TIMEOUT,
        event_hooks={} if allow_private else hooks,
        trust_env=allow_private,
    ) as client:
        request = client.build_request("GET", url, headers={**headers, "Accept-Encoding": "gzip"})
        for _ in range(MAX_REDIRECTS):
            # httpx, when it follows a redirect itself, first reads the body that comes with it, however long.
            response = await send(client, request)
            try:
                if response.next_request is None:
                    return await read(response)
                request = response.next_request
            finally:
                await response.aclose()
    raise MynahError(f"{url}: is redirected more than {MAX_REDIRECTS} times")


@cache
def _trusted() -> ssl.SSLContext:
    """The system's certificates; to read them takes longer than many a download."""
    return ssl.create_default_context()


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


async def _body(url: str, response: httpx.Response) -> bytes:
    """The body of an answer, as long as it is not too long."""
    promised = response.headers.get("content-length", "")
    body = bytearray()
    if not (promised.isdecimal() and int(promised) > MAX_BYTES):
        async for chunk in _decoded(url, response):
            body += chunk
            if len(body) > MAX_BYTES:
                break
        else:
            return bytes(body)
    raise MynahError(f"{url}: is longer than {MAX_BYTES >> 20} MiB: download it yourself, and name the file")


async def _decoded(url: str, response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in pieces, none of them large: httpx would unpack all of a network packet at once."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise MynahError(f"{url}: answers in the encoding {encoding}, which was not asked for")
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
        raise MynahError(f"{url}: is not the gzip that it says it is: {error}") from None
    if not gzip.eof:
        raise MynahError(f"{url}: ends in the middle of its gzip")
