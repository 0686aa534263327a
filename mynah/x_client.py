"""The client of X's API v2: tweepy, which asks another host where X_API_URL names one, and never waits for ever."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mynah.errors import UsageError

if TYPE_CHECKING:  # both are imported when a client is first made
    import requests

API = "https://api.x.com"
TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two bytes of the answer


def api_address(api_url: str | None) -> str:
    """Where the API is: X itself, or `api_url` (the simulator, a proxy). Raises UsageError where that is no address."""
    api = (api_url or API).rstrip("/")
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"X_API_URL={api_url}: write a server's address, e.g. http://127.0.0.1:8090")
    return api


def open_client(api: str, *, bearer: str | None = None, keys: tuple[str, ...] = ()) -> Any:
    """A `tweepy.Client` that asks `api` and answers in dicts, for an app's bearer token or an account's four keys.

    A redirect is not followed: a POST would arrive as a GET, or wrongly signed.
    """
    import requests
    import tweepy

    class Session(requests.Session):
        """Moves the host before the request is signed; tweepy's own is a local variable."""

        def request(  # type: ignore[override]
            self, method: str, url: str, **keywords: Any
        ) -> requests.Response:
            # tweepy hands over the query apart.
            return super().request(method, api + urlsplit(url).path, timeout=TIMEOUT, allow_redirects=False, **keywords)

    client = tweepy.Client(bearer, *keys, return_type=dict)
    client.session = Session()
    return client


def said(response: "requests.Response") -> tuple[str, str]:
    """What a refusal says: its detail, and the kind of problem, which is about:blank where X names none."""
    detail, kind = response.reason or "", "about:blank"
    try:
        body = response.json()
        first = (body.get("errors") or [{}])[0]
        detail = body.get("detail") or first.get("message") or body.get("title") or detail
        detail = first.get("message", detail) if response.status_code == 400 else detail
        kind = body.get("type") or kind
    except (ValueError, AttributeError, TypeError, LookupError):
        pass  # a proxy's own page
    return detail, kind
