"""Services that count requests, and the session through which client libraries ask them: on a real server."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from mynah.errors import MynahError
from scrapers import api
from scrapers.api import answer
from scrapers.session import open_session
from tests.loopback import served_by


class Busy(BaseHTTPRequestHandler):
    """Gives the answers that are planned, and then a good one."""

    planned: list[tuple[int, dict[str, str]]]
    heard: list[dict[str, str]]

    def do_GET(self) -> None:
        self.heard.append(dict(self.headers))
        status, headers = self.planned.pop(0) if self.planned else (200, {})
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "5", "X-Mine": "yes"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Busy.planned, Busy.heard = [], []
    with served_by(Busy) as address:
        yield address


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, which pass at once."""
    waits: list[float] = []
    monkeypatch.setattr(api.time, "sleep", waits.append)
    return waits


def soon() -> dict[str, str]:
    """A reset in half a minute, as each service says it."""
    at = time.time() + 30
    return {
        "Retry-After": "30",
        "X-RateLimit-Reset": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "X-Rate-Limit-Reset": str(int(at)),
        "RateLimit-Reset": str(int(at)),
    }


@pytest.mark.parametrize("name", soon())
def test_a_busy_service_is_waited_for_as_long_as_it_asks(
    name: str, url: str, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    Busy.planned += [(429, {name: soon()[name]})]
    assert answer(url, True).status_code == 200
    assert waits == [pytest.approx(30, abs=2)]
    assert "127.0.0.1 answers 429: asking it again in" in capsys.readouterr().err


def test_one_that_does_not_say_when_is_asked_a_few_times(url: str, waits: list[float]) -> None:
    Busy.planned += [(503, {"X-RateLimit-Reset": "later"})] * 9
    assert answer(url, True).status_code == 503
    assert waits == [*api.BACK_OFF]
    assert len(Busy.heard) == len(api.BACK_OFF) + 1


def test_one_that_asks_for_too_long_is_left_alone(url: str, waits: list[float]) -> None:
    Busy.planned += [(429, {"Retry-After": "86400"})]
    assert answer(url, True).status_code == 429
    assert waits == []


def test_a_no_is_an_answer(url: str, waits: list[float]) -> None:
    Busy.planned += [(403, {})]
    assert answer(url, True).status_code == 403
    assert waits == []


def test_a_library_with_requests_asks_through_it(url: str, waits: list[float]) -> None:
    Busy.planned += [(429, {"Retry-After": "3"})]
    came = open_session(True).get(url, headers={"X-Asked": "1"})
    assert (came.status_code, came.text, came.headers["x-mine"], came.url) == (200, "hello", "yes", url + "/")
    assert waits == [3]
    assert Busy.heard[-1]["X-Asked"] == "1"


def test_it_reaches_no_private_address_and_sends_nothing(url: str) -> None:
    with pytest.raises(MynahError, match="private"):
        open_session(False).get(url)
    with pytest.raises(MynahError, match="a scrape sends no POST"):
        open_session(True).post(url, data="mine")
    assert Busy.heard == []


def test_a_redirect_is_held_to_the_same(url: str) -> None:
    Busy.planned += [(302, {"Location": "http://10.0.0.1/"})]
    session = open_session(frozenset({"127.0.0.1"}))
    with pytest.raises((MynahError, requests.RequestException)):
        session.get(url)
