"""Downloads over HTTP that cannot be led into a private network."""

import ipaddress
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from mynah.errors import MynahError

TIMEOUT = httpx.Timeout(10, read=60)  # seconds


def fetch(url: str, allow_private: bool = False) -> bytes:
    """The body behind an http(s) address, redirects followed.

    Every address on the way must be a public one unless `allow_private`: an address in a bot file
    must not read the cloud's metadata service or a neighbour's database.
    Raises MynahError with one line where that is not so, or there is no good answer.
    """

    def check_before(request: httpx.Request) -> None:
        host = request.url.host
        try:
            found = socket.getaddrinfo(host, request.url.port or 443, type=socket.SOCK_STREAM)
        except socket.gaierror:
            raise MynahError(f"{url}: host {host} is not known: check the address and the network") from None
        for *_, address in found:
            _refuse_private(str(address[0]))

    def check_after(response: httpx.Response) -> None:
        # The name may have come to mean another address between the check and the connection.
        stream = response.extensions.get("network_stream")
        if stream and (peer := stream.get_extra_info("server_addr")):
            _refuse_private(str(peer[0]))

    def _refuse_private(address: str) -> None:
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise MynahError(
                f"{url}: leads to the private address {address}; set MYNAH_ALLOW_PRIVATE=1 if that is meant"
            )

    hooks: dict[str, list[Callable[..., None]]] = {"request": [check_before], "response": [check_after]}
    transport = httpx.HTTPTransport(retries=2, verify=ssl.create_default_context())
    # Proxies of the environment only with allow_private: the addresses checked would be the proxy's.
    with httpx.Client(
        transport=transport,
        timeout=TIMEOUT,
        follow_redirects=True,
        event_hooks={} if allow_private else hooks,
        trust_env=allow_private,
    ) as client:
        try:
            response = client.get(url)
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise MynahError(f"{url}: answers {error.response.status_code} {error.response.reason_phrase}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            where = urlsplit(url).hostname or "the address"
            raise MynahError(f"{url}: {where} gives no answer: {error or type(error).__name__}") from None
    return response.content
