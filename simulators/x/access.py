"""Who may ask the X simulator, and how often: OAuth 1.0a's signatures, the app's bearer token and X's rate limits."""

import hmac
import math
import time
from collections.abc import Mapping
from typing import Any

from oauthlib.oauth1 import RequestValidator, ResourceEndpoint
from starlette.requests import Request

from simulators.x.account import Refusal

WINDOW = 15 * 60  # seconds
# Requests per window and user, or app, as X allows.
LIMITS = {"create": 100, "delete": 50, "me": 75, "users": 300, "timeline": 900, "followers": 300}


class Keys(RequestValidator):  # type: ignore[misc]
    """oauthlib's view of the one app and the one user that there are."""

    enforce_ssl = False
    timestamp_lifetime = 300  # seconds, as X's
    nonce_length = (1, 128)
    allowed_signature_methods = ("HMAC-SHA1",)
    dummy_client = "nobody"
    dummy_access_token = "nobody"  # noqa: S105

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self.keys = keys
        self.seen: dict[tuple[str, str], float] = {}  # timestamp and nonce → when to forget them

    def check_client_key(self, client_key: str) -> bool:
        return True  # any shape: the key itself is compared below

    def check_access_token(self, request_token: str) -> bool:
        return True

    def check_nonce(self, nonce: str) -> bool:
        return self.nonce_length[0] <= len(nonce) <= self.nonce_length[1]

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: Any = None,
        access_token: Any = None,
    ) -> bool:
        now = time.time()
        self.seen = {key: until for key, until in self.seen.items() if until > now}
        new = (timestamp, nonce) not in self.seen
        self.seen[timestamp, nonce] = now + 2 * self.timestamp_lifetime
        return new

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == self.keys["X_API_KEY"]

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token == self.keys["X_ACCESS_TOKEN"]

    def validate_realms(self, client_key: str, token: str, request: Any, uri: Any = None, realms: Any = None) -> bool:
        return True

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self.keys["X_API_SECRET"]

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self.keys["X_ACCESS_TOKEN_SECRET"]


class Access:
    """Who asks: the one user, by a signature, or the app alone, by its bearer token."""

    def __init__(self, keys: Mapping[str, str], bearer: str) -> None:
        self._oauth = ResourceEndpoint(Keys(keys))
        self._bearer = bearer

    def who(self, request: Request, body: bytes) -> str:
        """user or app. Raises Refusal where it is neither."""
        told = request.headers.get("authorization", "")
        if hmac.compare_digest(told.encode(), f"Bearer {self._bearer}".encode()):
            return "app"
        if not self._is_signed(request, body):
            raise Refusal(401, "Unauthorized", "Unauthorized")
        return "user"

    def _is_signed(self, request: Request, body: bytes) -> bool:
        headers = {name.title(): request.headers.get(name, "") for name in ("authorization", "content-type")}
        try:
            valid, _ = self._oauth.validate_protected_resource_request(
                str(request.url), request.method, body.decode(errors="replace"), headers
            )
        except ValueError:  # a header or a query that is no OAuth at all
            return False
        return bool(valid)


class Limits:
    """X's limits of requests: so many in each window of seconds, which begins with its first request."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self.windows: dict[tuple[str, str], tuple[float, int]] = {}  # who, endpoint → end of its window, requests in it

    def take(self, who: str, endpoint: str) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it is within the limit, and X's headers that say how it stands."""
        now = time.time()
        end, count = self.windows.get((who, endpoint), (0.0, 0))
        if end <= now:
            end, count = now + self.window, 0
        within = count < LIMITS[endpoint]
        self.windows[who, endpoint] = end, count + within
        left = LIMITS[endpoint] - count - within
        headers = {"limit": LIMITS[endpoint], "remaining": left, "reset": math.ceil(end)}
        return within, {f"x-rate-limit-{name}": str(value) for name, value in headers.items()}
