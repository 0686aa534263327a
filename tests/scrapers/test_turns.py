"""Accounts in turn."""

from collections.abc import Iterator

import pytest

from mynah.document import Document
from mynah.errors import MynahError
from scrapers.page import Cursor, Page
from scrapers.turns import in_turn

NAMES = ["a", "b", "c"]


def scrape(account: str, state: Cursor) -> Iterator[Page]:
    """Two pages each; b cannot be read."""
    if account == "b":
        raise MynahError("is gone")
    for number in range(state.get("done", 0) + 1, 3):
        yield Page(
            [Document(id=f"{account}{number}", text="t")], {"done": number}, problems=("in part",) * (number == 1)
        )


def ids(pages: list[Page]) -> list[str]:
    return [document.id for page in pages for document in page.documents]


def test_one_that_cannot_be_read_does_not_keep_the_others_from_it() -> None:
    pages = [*in_turn(NAMES, None, scrape)]
    assert ids(pages) == ["a1", "a2", "c1", "c2"]
    assert [problem for page in pages for problem in page.problems] == ["a: in part", "b: is gone", "c: in part"]
    assert pages[-1].cursor == {"at": "c", "accounts": {"a": {"done": 2}, "c": {"done": 2}}}


def test_a_run_begins_where_the_last_one_stopped() -> None:
    """So that the end of the list comes to its turn, though each run is cut short."""
    pages = in_turn(NAMES, None, scrape)
    cursor = [next(pages) for _ in range(4)][-1].cursor
    assert cursor
    assert cursor["at"] == "c"
    assert ids([*in_turn(NAMES, cursor, scrape)]) == ["c2"]
    assert ids([*in_turn(["a", "new", "c"], cursor, scrape)]) == ["c2", "new1", "new2"]
    assert ids([*in_turn(["new"], cursor, scrape)]) == ["new1", "new2"]


def test_it_fails_where_none_can_be_read() -> None:
    pages = in_turn(["b", "b"], None, scrape)
    assert next(pages).problems == ("b: is gone",)
    with pytest.raises(MynahError, match="b: is gone"):
        next(pages)
