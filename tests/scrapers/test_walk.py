"""The walk back over a service's posts, interrupted anywhere, while new posts come."""

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.document import Document
from mynah.errors import MynahError
from scrapers.page import Cursor
from scrapers.walk import Id, Stretch, walk


class Service:
    """Gives its posts in pages of some size, the newest page first. Posts whose number ends in 7 have no text."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.posts: list[int] = []
        self.asked: list[Id | None] = []
        self.empty_once = False

    def read(self, before: Id | None) -> Stretch:
        self.asked.append(before)
        older = [n for n in self.posts if before is None or n < int(before)]
        if self.empty_once and before is not None:
            self.empty_once = False
            return Stretch({}, None)
        page = older[-self.size :]
        rest = older[: -self.size]
        posts = {n: None if n % 10 == 7 else Document(id=str(n), text=f"post {n}") for n in page}
        return Stretch({**posts}, page[0] if rest else None)


def run(service: Service, state: Cursor, pages: int | None = None, limit: int | None = None) -> tuple[set[str], Cursor]:
    """Walk so many pages, or to the end; which documents came, and the state after them."""
    found: set[str] = set()
    for page in islice(walk(state, limit, service.read), pages):
        found |= {document.id for document in page.documents}
        state = page.cursor or {}
    return found, state


def texts(*numbers: range) -> set[str]:
    return {str(n) for some in numbers for n in some if n % 10 != 7}


@given(st.integers(1, 7), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), min_size=1, max_size=8))
def test_every_post_is_read_however_often_it_is_interrupted(size: int, runs: list[tuple[int, int]]) -> None:
    service, state, found, last = Service(size), {"through": 0}, set[str](), 0
    for new, pages in runs:
        service.posts += range(last + 1, last + new + 1)
        last += new
        if service.posts:
            some, state = run(service, state, pages)
            found |= some
    if service.posts:
        for _ in range(2):  # a walk that was interrupted, and what came since
            some, state = run(service, state)
            found |= some
    assert found == texts(range(1, last + 1))


def test_an_undisturbed_walk_asks_for_each_page_once_and_then_for_the_newest() -> None:
    service = Service(5)
    service.posts = [*range(1, 13)]
    found, state = run(service, {"through": 0})
    assert (found, state, service.asked) == (texts(range(1, 13)), {"through": 12}, [None, 8, 3])
    service.posts += [13, 14]
    assert run(service, state) == ({"13", "14"}, {"through": 14})
    assert service.asked[3:] == [None]


def test_the_first_walk_ends_after_the_limit() -> None:
    service = Service(5)
    service.posts = [*range(1, 41)]
    assert run(service, {"through": 0}, limit=8)[0] == texts(range(31, 41))


def test_a_page_that_came_back_empty_is_asked_for_again() -> None:
    """The service said that there is more, and gave nothing: the next walk finds what was missing."""
    service = Service(5)
    service.posts = [*range(1, 13)]
    service.empty_once = True
    found, state = run(service, {"through": 0})
    assert found == texts(range(8, 13))
    more, state = run(service, state)
    assert found | more == texts(range(1, 13))
    assert run(service, state)[0] == set()
    assert service.asked[-1] is None


def test_one_that_gave_posts_and_gives_none_is_told() -> None:
    with pytest.raises(MynahError, match="gave posts before, and gives none now"):
        run(Service(5), {"through": 9})


def test_pages_that_lead_nowhere_are_told() -> None:
    def read(_before: Id | None) -> Stretch:
        return Stretch({5: None}, 9)

    def pages() -> Iterator[object]:
        yield from walk({"through": 0}, None, read)

    with pytest.raises(MynahError, match="leads back here"):
        [*pages()]


def test_longer_ids_are_later() -> None:
    """As X's and Mastodon's numbers in strings."""
    service = Service(5)
    service.posts = [8, 9, 10, 11]
    assert run(service, {"through": "9"})[0] == {"10", "11"}
