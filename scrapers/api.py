"""Answers of services that count requests: a busy one is waited for as long as it asks."""

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

from mynah.retry_after import retry_after
from mynah.settings import AllowPrivate
from scrapers.fetch import BACK_OFF, BUSY, ask

MAX_WAIT = 960.0  # seconds: X counts in windows of 15 minutes, Mastodon and Bluesky in windows of 5
RESETS = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")  # Mastodon's, X's, Bluesky's


def answer(url: str, allow_private: AllowPrivate, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """What the service answers, good or not; each wait is told on stderr.

    Raises MynahError with one line where there is no answer.
    """
    for pause in BACK_OFF:
        response = ask(url, allow_private, headers)
        wait = max(pause, _until(response))
        if response.status_code not in BUSY or wait > MAX_WAIT:
            return response
        host, status = response.request.url.host, response.status_code
        print(f"{host} answers {status}: asking it again in {wait:.0f} s", file=sys.stderr, flush=True)
        time.sleep(wait)
    return ask(url, allow_private, headers)


def _until(response: httpx.Response) -> float:
    """Seconds until the service wants to be asked again, by Retry-After or its own header; 0: it says nothing."""
    if (said := retry_after(response)) is not None:
        return said
    reset = next((response.headers[name] for name in RESETS if name in response.headers), "")
    if reset.isdecimal():
        return float(reset) - time.time()
    try:
        return datetime.fromisoformat(reset).astimezone(UTC).timestamp() - time.time()
    except ValueError:
        return 0.0
