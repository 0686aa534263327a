"""Downloads: from real servers, and never from a private address unasked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mynah.errors import MynahError
from scrapers.fetch import fetch


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/data")
        else:
            self.send_response(200 if self.path == "/data" else 503)
        self.end_headers()
        if self.path == "/data":
            self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_redirects_are_followed(server: str) -> None:
    assert fetch(f"{server}/data", allow_private=True) == b"hello"
    assert fetch(f"{server}/moved", allow_private=True) == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(MynahError, match="leads to the private address"):
        fetch(f"http://{host}:1/data")


def test_no_good_answer_is_one_line(server: str) -> None:
    for url, wanted in (
        (f"{server}/gone", "answers 503 Service Unavailable"),
        ("http://127.0.0.1:1/", "127.0.0.1 gives no answer"),
        ("http://", "gives no answer"),
    ):
        with pytest.raises(MynahError, match=wanted) as caught:
            fetch(url, allow_private=True)
        assert "\n" not in str(caught.value)
    with pytest.raises(MynahError, match="host no-such-host.invalid is not known"):
        fetch("http://no-such-host.invalid/")
