"""A session for client libraries that use requests: it asks as the rest of the scrapers do."""

import io
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from mynah.errors import MynahError
from mynah.settings import AllowPrivate
from scrapers.api import answer


def open_session(allow_private: AllowPrivate) -> requests.Session:
    """A session whose every connection and redirect leads to a public address, unless `allow_private`.

    Sizes, times and waits have the limits of scrapers.fetch and scrapers.api; a library's own time-out is not asked.
    It raises MynahError with one line where there is no answer. A library may pack that into an error of its own.
    """
    session = requests.Session()
    session.trust_env = False  # no keys out of a .netrc
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(allow_private))
    return session


class _Adapter(BaseAdapter):
    def __init__(self, allow_private: AllowPrivate) -> None:
        super().__init__()
        self._allow_private = allow_private

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        url = request.url or ""
        if request.method != "GET":
            raise MynahError(f"{url}: a scrape sends no {request.method}")
        headers = {str(name): str(value) for name, value in request.headers.items()}
        came = answer(url, self._allow_private, headers)
        response = requests.Response()
        response.status_code, response.reason, response.url = came.status_code, came.reason_phrase, url
        response.headers = CaseInsensitiveDict(came.headers)
        response.raw, response.request = io.BytesIO(came.content), request
        return response

    def close(self) -> None: ...
