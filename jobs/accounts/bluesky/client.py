"""One call of Bluesky's XRPC, over httpx, and what may be said of its failure.

Not the library atproto: it takes 4 s and 58 MiB to import, signs in by itself when it likes, and raises for half an
answer a bare ValueError. Four kinds of calls are asked here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from mynah.failed_request import brief, short

TIMEOUT = httpx.Timeout(30, connect=10)  # seconds


@dataclass(frozen=True)
class Answer:
    """What a server answered. `status` 0: nothing, and `sent` tells whether the request may have arrived."""

    status: int
    body: dict[str, Any]
    words: str
    """The failure, for people."""
    sent: bool = True
    until: datetime | None = None
    """When a limit that was hit is lifted."""

    @property
    def error(self) -> str:
        """The failure's name, such as InvalidSwap."""
        return str(self.body.get("error", ""))


def call(http: httpx.Client, url: str, token: str | None, body: dict[str, Any] | None = None) -> Answer:
    """POST `body`, or nothing, once. Follows no redirect."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = http.post(url, json=body, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
        return Answer(0, {}, f"no connection to {httpx.URL(url).host} ({brief(error)})", sent=False)
    except httpx.HTTPError as error:
        return Answer(0, {}, f"the answer was lost ({brief(error)})")
    return _told(response)


def ask(http: httpx.Client, url: str, query: dict[str, Any], timeout: float | httpx.Timeout = TIMEOUT) -> Answer:
    """GET, once, without a session."""
    try:
        response = http.get(url, params=query, timeout=timeout)
    except httpx.HTTPError as error:
        return Answer(0, {}, brief(error))
    return _told(response)


def _told(response: httpx.Response) -> Answer:
    try:
        said = response.json()
    except ValueError:
        said = None
    body = said if isinstance(said, dict) else {}
    detail = body.get("message") or body.get("error") or response.reason_phrase
    reset = response.headers.get("ratelimit-reset", "")
    until = datetime.fromtimestamp(int(reset), UTC) if response.status_code == 429 and reset.isdecimal() else None
    return Answer(response.status_code, body, short(f"{response.status_code}: {detail}"), until=until)
