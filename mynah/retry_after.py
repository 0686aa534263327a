"""When a busy server wants to be asked again."""

import email.utils
import time

import httpx


def retry_after(response: httpx.Response) -> float | None:
    """Seconds from now, as the header Retry-After says (RFC 9110, 10.2.3); None where it says nothing.

    A time that has passed is negative.
    """
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return email.utils.parsedate_to_datetime(said).timestamp() - time.time()
    except ValueError:
        return None
