"""Who may ask the X simulator, and how often: OAuth 1.0a's signatures and X's rate limits."""

import math
import time
from collections.abc import Mapping
from typing import Any

from oauthlib.oauth1 import RequestValidator

WINDOW = 15 * 60  # seconds
LIMITS = {"create": 100, "delete": 50, "me": 75, "timeline": 900}  # requests a window and user, as X allows


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


class Limits:
    """X's limits of requests: so many in each window, which begins with its first request."""

    def __init__(self) -> None:
        self.windows: dict[str, tuple[float, int]] = {}  # endpoint → end of its window, requests in it

    def take(self, endpoint: str) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it is within the limit, and X's headers that say how it stands."""
        now = time.time()
        end, count = self.windows.get(endpoint, (0.0, 0))
        if end <= now:
            end, count = now + WINDOW, 0
        within = count < LIMITS[endpoint]
        self.windows[endpoint] = end, count + within
        left = LIMITS[endpoint] - count - within
        headers = {"limit": LIMITS[endpoint], "remaining": left, "reset": math.ceil(end)}
        return within, {f"x-rate-limit-{name}": str(value) for name, value in headers.items()}
