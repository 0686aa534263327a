"""Many downloads: polite to each host, and side by side."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mynah.errors import MynahError
from scrapers.crawl import Closed, Crawl, Forbidden
from scrapers.fetch import Fetched, NoAnswer, Wish
from scrapers.robots import MAX_DELAY, Robots, read_robots
from tests.loopback import app_served

ROBOTS = """\
User-agent: *
Disallow: /

User-agent: mynah
Disallow: /private
Crawl-delay: {delay}
"""


class Visitors:
    """A server that notes who is there at once."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.met: set[str] = set()
        self.here: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.came: list[float] = []
        self.went: list[float] = []
        self.clients: set[tuple[str, int]] = set()

    async def robots(self, request: Request) -> Response:
        return PlainTextResponse(ROBOTS.format(delay=self.delay))

    async def page(self, request: Request) -> Response:
        host = request.url.hostname or ""
        assert request.client is not None
        self.clients.add((host, request.client.port))
        self.came.append(time.monotonic())
        self.here[host] = self.here.get(host, 0) + 1
        self.most[host] = max(self.most.get(host, 0), self.here[host])
        if request.url.path == "/meet":  # answered when somebody came by every name
            self.met.add(host)
            while len(self.met) < 2:
                await asyncio.sleep(0.01)
        self.here[host] -= 1
        self.went.append(time.monotonic())
        return PlainTextResponse("hello")


@pytest.fixture
def visitors() -> Visitors:
    return Visitors()


@pytest.fixture
def url(visitors: Visitors) -> Iterator[str]:
    app = Starlette(routes=[Route("/robots.txt", visitors.robots), Route("/{path:path}", visitors.page)])
    with app_served(app) as url:
        yield url


def crawled(*urls: str, pause: float = 0) -> dict[str, Fetched | MynahError]:
    with Crawl(True, pause) as crawl:
        return dict(crawl.each({url: Wish() for url in urls}))


def test_hosts_are_asked_side_by_side(visitors: Visitors, url: str) -> None:
    both = crawled(f"{url}/meet", f"{url.replace('127.0.0.1', 'localhost')}/meet")
    assert all(isinstance(answer, Fetched) for answer in both.values())
    assert visitors.most == {"127.0.0.1": 1, "localhost": 1}


def test_a_host_is_asked_for_one_thing_at_a_time_over_one_connection(visitors: Visitors, url: str) -> None:
    urls = [f"{url}/{n}" for n in range(8)]
    assert [*crawled(*urls)] == urls
    assert visitors.most == {"127.0.0.1": 1}
    assert len(visitors.clients) == 1


def test_between_two_requests_there_is_a_pause(visitors: Visitors, url: str) -> None:
    crawled(*(f"{url}/{n}" for n in range(4)), pause=0.1)
    assert all(came - went >= 0.1 for went, came in zip(visitors.went, visitors.came[1:], strict=False))


def test_a_longer_pause_that_robots_txt_asks_for_holds(visitors: Visitors, url: str) -> None:
    visitors.delay = 0.2
    crawled(*(f"{url}/{n}" for n in range(3)), pause=0.01)
    assert all(came - went >= 0.2 for went, came in zip(visitors.went, visitors.came[1:], strict=False))


def test_what_is_forbidden_is_not_asked_for(visitors: Visitors, url: str) -> None:
    answers = crawled(f"{url}/private/1", f"{url}/public")
    assert isinstance(answers[f"{url}/private/1"], Forbidden)
    assert len(visitors.came) == 1


def test_a_host_that_does_not_answer_is_told_once(visitors: Visitors, url: str) -> None:
    dead = [f"http://127.0.0.1:1/{n}" for n in range(5)]
    answers = crawled(*dead, f"{url}/1")
    assert answers.keys() == {dead[0], f"{url}/1"}
    assert isinstance(answers[dead[0]], Closed)
    assert str(answers[dead[0]]).endswith("nothing of that host is asked for; 4 more addresses of it were passed over")


def test_a_crawl_may_be_left_in_the_middle(visitors: Visitors, url: str) -> None:
    with Crawl(True, 0) as crawl:
        next(crawl.each({f"{url}/{n}": Wish() for n in range(100)}))
    assert len(visitors.came) < 5


def robots(text: str) -> Robots:
    return read_robots(Fetched(text.encode(), None, "http://a.example/robots.txt"))


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("", 0),
        ("User-agent: *\nCrawl-delay: 5", 5),
        ("User-agent: mynah\nCrawl-delay: 2\nUser-agent: *\nCrawl-delay: 7", 2),
        ("User-agent: *\nRequest-rate: 1/10s", 10),
        ("User-agent: *\nCrawl-delay: 86400", MAX_DELAY),
        ("User-agent: *\nCrawl-delay: soon", 0),
    ],
)
def test_the_delay_of_a_robots_txt(text: str, delay: float) -> None:
    assert robots(text).delay == delay


@pytest.mark.parametrize(
    ("status", "allowed"),
    [(404, True), (403, True), (410, True), (429, False), (500, False), (503, False), (None, False)],
)
def test_no_robots_txt(status: int | None, allowed: bool) -> None:
    found = read_robots(NoAnswer("http://a.example/robots.txt: answers something else", status))
    assert found.allows("http://a.example/x") is allowed
    assert bool(found.why) is not allowed


def test_a_robots_txt_that_is_no_text_forbids_nothing() -> None:
    assert robots("\0\ufffd<html>Disallow: /").allows("http://a.example/x")
