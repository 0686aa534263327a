"""Downloads: from real servers, never from a private address unasked, and never without end."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers import fetch as fetching
from scrapers.fetch import USER_AGENT, Fetched, Wish, download, fetch, new_client
from tests.loopback import served_by

Capture = pytest.CaptureFixture[str]
MEBIBYTE = b"\0" * (1 << 20)


class Pages(BaseHTTPRequestHandler):
    """Good answers, and those of servers that are broken or mean harm."""

    protocol_version = "HTTP/1.1"
    over = threading.Event()  # the tests are: nothing is dripped any more
    asked = 0

    def do_GET(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # the client hangs up, as it should
            getattr(self, self.path.strip("/").replace("-", "_"), self.gone)()

    def busy_twice(self) -> None:
        Pages.asked += 1
        if Pages.asked < 3:
            self.answer(429 if Pages.asked == 1 else 503, **{"Retry-After": "0"})
        else:
            self.answer(200, b"at last")

    def come_tomorrow(self) -> None:
        Pages.asked += 1
        self.answer(429, **{"Retry-After": "86400"})

    def data(self) -> None:
        self.answer(200, b"hello", ETag='"1"')

    def moved(self) -> None:
        self.answer(302, Location="/data")

    def home(self) -> None:
        self.answer(302, Location=f"http://127.0.0.1:{self.server.server_address[1]}/data")

    def says_more(self) -> None:
        self.begin(200, Content_Length=str(1 << 40))
        self.pour()

    def loop(self) -> None:
        self.answer(302, Location="/loop")

    def elsewhere(self) -> None:
        self.answer(302, Location="file:///etc/passwd")

    def gone(self) -> None:
        self.answer(503)

    def versions(self) -> None:
        if self.headers["If-None-Match"] == '"2"':
            self.answer(304)
        else:
            self.answer(200, b"two", ETag='"2"')

    def dated(self) -> None:
        changed = "Mon, 02 Mar 2026 10:00:00 GMT"
        if self.headers["If-Modified-Since"] == changed:
            self.answer(304)
        else:
            self.answer(200, b"dated", Last_Modified=changed)

    def endless(self) -> None:
        self.begin(200)
        self.pour()

    def endless_redirect(self) -> None:
        self.begin(302, Location="/data")
        self.pour()

    def drip(self) -> None:
        self.begin(200)
        self.trickle(b"x")

    def drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.trickle(b"x")

    def pdf(self) -> None:
        self.begin(200, Content_Type="application/pdf")
        self.pour()

    def who(self) -> None:
        self.answer(200, self.headers["User-Agent"].encode(), Content_Type="text/HTML; charset=koi8-r")

    def says_much(self) -> None:
        self.begin(200, Content_Length=str(1 << 40))

    def says_more_than_it_sends(self) -> None:
        self.begin(200, Content_Length="1000")
        self.wfile.write(b"hello")

    def says_nonsense(self) -> None:
        self.begin(200, Content_Length="many")
        self.wfile.write(b"hello")

    def bomb(self) -> None:
        packed = gzip.compress(MEBIBYTE * 100)
        assert len(packed) < 1 << 20
        self.answer(200, packed, Content_Encoding="gzip")

    def packed(self) -> None:
        assert self.headers["Accept-Encoding"] == "gzip"
        self.answer(200, gzip.compress(b"hello " * 100_000), Content_Encoding="gzip")

    def half_packed(self) -> None:
        self.answer(200, gzip.compress(b"hello " * 1000)[:-12], Content_Encoding="gzip")

    def not_packed(self) -> None:
        self.answer(200, b"hello", Content_Encoding="gzip")

    def other_packing(self) -> None:
        self.answer(200, b"hello", Content_Encoding="br")

    def begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.begin(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def pour(self) -> None:
        while not self.over.is_set():
            self.wfile.write(MEBIBYTE)

    def trickle(self, drop: bytes) -> None:
        while not self.over.wait(0.05):
            self.wfile.write(drop)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "BACK_OFF", (0, 0))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served_by(Pages) as url:
        yield url
        Pages.over.set()


def refused(url: str, wanted: str) -> None:
    with pytest.raises(MynahError) as caught:
        fetch(url, allow_private=True)
    assert str(caught.value).startswith(f"{url}: ")
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_redirects_are_followed(server: str) -> None:
    data = Fetched(b"hello", '"1"', f"{server}/data")
    assert fetch(f"{server}/data", allow_private=True) == data
    assert fetch(f"{server}/moved", allow_private=True) == data


def test_what_has_not_changed_is_not_sent(server: str) -> None:
    first = fetch(f"{server}/versions", allow_private=True)
    assert first == Fetched(b"two", '"2"', f"{server}/versions")
    assert fetch(f"{server}/versions", allow_private=True, version=first.version) == replace(first, body=None)
    assert fetch(f"{server}/versions", allow_private=True, version='"1"') == first


def test_what_has_not_changed_since_a_time_is_not_sent(server: str) -> None:
    first = fetch(f"{server}/dated", allow_private=True)
    assert first == Fetched(b"dated", "Mon, 02 Mar 2026 10:00:00 GMT", f"{server}/dated")
    assert fetch(f"{server}/dated", allow_private=True, version=first.version) == replace(first, body=None)


def test_a_busy_server_is_asked_again(server: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(Pages, "asked", 0)
    assert fetch(f"{server}/busy-twice", allow_private=True).body == b"at last"
    assert "127.0.0.1 answers 429: asking it again in 0 s" in capsys.readouterr().err


def test_a_server_that_is_busy_for_long_is_not_waited_for(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "asked", 0)
    with pytest.raises(MynahError, match="answers 429 Too Many Requests"):
        fetch(f"{server}/come-tomorrow", allow_private=True)
    assert Pages.asked == 1


def test_gzip_is_asked_for_and_unpacked(server: str) -> None:
    assert fetch(f"{server}/packed", allow_private=True).body == b"hello " * 100_000


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(MynahError, match="leads to the private address"):
        fetch(f"http://{host}:1/data")


def test_a_host_that_the_operator_names_may_be_private(server: str) -> None:
    allowed = Settings.read({"MYNAH_ALLOW_PRIVATE": "wiki.internal, 127.0.0.1"}).allow_private
    assert fetch(f"{server}/data", allowed).body == b"hello"
    other = server.replace("127.0.0.1", "localhost")  # the name counts, not what it stands for
    with pytest.raises(MynahError, match=r"private address 127\.0\.0\.1; .* set MYNAH_ALLOW_PRIVATE=localhost"):
        fetch(f"{other}/data", allowed)


def test_a_redirect_to_a_private_address_is_refused(server: str) -> None:
    other = server.replace("127.0.0.1", "localhost")
    with pytest.raises(MynahError, match=rf"^{other}/home: leads to the private address 127\.0\.0\.1"):
        fetch(f"{other}/home", frozenset({"localhost"}))


def downloaded(url: str, wish: Wish) -> Fetched:
    async def one() -> Fetched:
        async with new_client(allow_private=True) as client:
            return await download(client, url, wish)

    return asyncio.run(one())


@pytest.mark.parametrize("page", ["endless", "bomb", "says-more"])
def test_a_body_is_cut_off_where_that_is_wished(server: str, page: str) -> None:
    got = downloaded(f"{server}/{page}", Wish(cut_at=3 << 20))
    assert got.cut
    assert len(got.body or b"") == 3 << 20


def test_what_is_short_enough_is_whole(server: str) -> None:
    assert downloaded(f"{server}/data", Wish(cut_at=5)) == Fetched(b"hello", '"1"', f"{server}/data")


def test_another_type_is_refused_unread(server: str) -> None:
    with pytest.raises(MynahError, match=r"/pdf: is application/pdf, and not text/html or text/xml$"):
        downloaded(f"{server}/pdf", Wish(media_types=("text/html", "text/xml")))


def test_servers_learn_who_asks(server: str) -> None:
    got = downloaded(f"{server}/who", Wish(media_types=("text/html",)))
    assert got.body == USER_AGENT.encode()
    assert got.media_type == "text/html"


@pytest.mark.parametrize("page", ["endless", "endless-redirect", "says-much", "bomb"])
def test_a_body_has_a_limit(server: str, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 10 << 20)
    if page == "endless-redirect":  # what comes beside a redirect is not read at all
        assert fetch(f"{server}/{page}", allow_private=True).body == b"hello"
    else:
        refused(f"{server}/{page}", "is longer than 10 MiB: download it yourself, and name the file")


@pytest.mark.parametrize("page", ["drip", "drip-headers"])
def test_time_has_a_limit(server: str, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_SECONDS", 0.5)
    refused(f"{server}/{page}", "did not come within 0.5 s: download it yourself, and name the file")


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("none", "answers 503 Service Unavailable"),
        ("loop", "is redirected more than 10 times"),
        ("elsewhere", "127.0.0.1 gives no whole answer: Request URL has an unsupported protocol"),
        ("says-more-than-it-sends", "127.0.0.1 gives no whole answer: peer closed connection"),
        ("says-nonsense", "127.0.0.1 gives no whole answer: "),
        ("half-packed", "ends in the middle of its gzip"),
        ("not-packed", "is not the gzip that it says it is"),
        ("other-packing", "answers in the encoding br, which was not asked for"),
    ],
)
def test_no_good_answer_is_one_line(server: str, page: str, wanted: str) -> None:
    refused(f"{server}/{page}", wanted)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://127.0.0.1:1/", "127.0.0.1 gives no whole answer"),
        ("http://", "gives no whole answer"),
        (f"http://{'a' * 64}.example/", "gives no whole answer"),
    ],
)
def test_no_answer_is_one_line(url: str, wanted: str) -> None:
    refused(url, wanted)


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(MynahError, match=r"host no-such-host\.invalid is not known"):
        fetch("http://no-such-host.invalid/")
