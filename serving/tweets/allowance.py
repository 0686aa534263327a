"""How much one address may ask in a minute.

There are two measures: requests of any kind, and prompts that a model must write for, which cost far more. An address
is kept in memory for that minute and nowhere else; each replica counts for itself. Who holds an IPv6 address holds the
2**64 of its network, so they count as one.
"""

import ipaddress
import math
import time
from contextvars import ContextVar

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mynah.errors import MynahError

FREE = ("/health/", "/static/")  # asked by Kubernetes, and once with each page
_ADDRESS: ContextVar[str | None] = ContextVar("address", default=None)


class Spent(MynahError):
    """An address asked too much; `seconds` until it may ask again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(f"{message}: ask again in {seconds} s")
        self.seconds = seconds


class Allowance:
    """Counts what each address asks."""

    def __init__(self, requests: int, prompts: int) -> None:
        """Of each, so many per minute and address; 0 for any number."""
        self._requests, self._prompts = RateLimitItemPerMinute(requests), RateLimitItemPerMinute(prompts)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def request(self, address: str) -> None:
        """One more request. Raises Spent."""
        self._spend(self._requests, "requests", address)

    def prompt(self) -> None:
        """One more prompt that must be written, for whoever asks just now. Raises Spent."""
        address = _ADDRESS.get()
        if address is not None:
            self._spend(self._prompts, "new prompts", address)

    def _spend(self, most: RateLimitItem, what: str, address: str) -> None:
        if most.amount and not self._limiter.hit(most, what, address):
            seconds = math.ceil(self._limiter.get_window_stats(most, what, address).reset_time - time.time())
            raise Spent(f"{most.amount} {what} a minute are the most", max(1, seconds))


class Counted:
    """ASGI middleware: refuses the requests of an address that has spent its allowance."""

    def __init__(self, app: ASGIApp, allowance: Allowance) -> None:
        self.app, self.allowance = app, allowance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["client"] and not scope["path"].startswith(FREE):
            address = network(scope["client"][0])
            _ADDRESS.set(address)
            try:
                self.allowance.request(address)
            except Spent as error:
                await refusal(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def refusal(error: Spent) -> JSONResponse:
    """429, and when to ask again."""
    return JSONResponse({"error": str(error)}, 429, {"retry-after": str(error.seconds)})


def network(address: str) -> str:
    """What counts as one address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
