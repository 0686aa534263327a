"""The walk back: from the newest post of a channel or an account to those that are known, a page at a time.

Its state is JSON data. It holds `through`, up to which post everything was read; and in the middle of a walk back the
`newest` post of that walk, `before` which post it goes on, and how many posts it has `seen`. A walk that was
interrupted is ended first, and then what is new since it began is read. A walk that ended on an empty page holds
`again`, from where and how far it has to be walked again, should the service find that it had more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mynah.document import Document
from mynah.errors import MynahError
from scrapers.page import Cursor, Page

Id = int | str
"""A post's. A later one is greater: it is longer, or comes later in the alphabet."""


@dataclass(frozen=True)
class Stretch:
    """Posts that follow one another, as a service gives them on a page."""

    posts: dict[Id, Document | None]
    """By their ids. None for one that gives no document: without a text, or not wanted."""
    before: Id | None
    """Where the page of older posts ends; None where there are none."""


Read = Callable[[Id | None], Stretch]
"""Gives the posts before one; before None, the newest."""


def walk(state: Cursor, limit: int | None, read: Read) -> Iterator[Page]:
    """The posts that are newer than `through`; the first time, about `limit` of them. Pages hold the next state.

    A page in the middle that came back empty is asked for again by the next walk: only then is it the end.
    Raises MynahError with one line where there were posts and are none now.
    """
    if (again := state.get("again")) and "before" not in state:
        state = {**again, "newest": state["through"], "empty": True}
    while True:
        interrupted = "before" in state
        for page in _back(state, limit, read):
            yield page
            state = page.cursor or {}
        if not interrupted:
            return


def _back(state: Cursor, limit: int | None, read: Read) -> Iterator[Page]:
    through, newest, before, seen = (state.get(key) for key in ("through", "newest", "before", "seen"))
    again, confirmed = state.get("again"), state.get("empty", False)
    seen = seen or 0
    while True:
        found = read(before)
        if not found.posts and before is None and through:
            raise MynahError("gave posts before, and gives none now: look at it; it is asked again next time")
        if not found.posts and before is not None and not confirmed:
            again = {"through": (again or state).get("through"), "before": before, "seen": seen}
        newest, seen, confirmed = max((newest, *found.posts), key=_order), seen + len(found.posts), False
        kept = {"again": again} if again else {}
        known = any(_order(id) <= _order(through) for id in found.posts)
        if found.before is None or not found.posts or known or (limit and not through and seen >= limit):
            fresh = [document for id, document in found.posts.items() if document and _order(id) > _order(through)]
            yield Page(fresh, {"through": max(through, newest, key=_order), **kept})
            return
        if before is not None and _order(found.before) >= _order(before):
            raise MynahError(f"its older posts begin at {found.before}, which leads back here: try again later")
        before = found.before
        documents = [document for document in found.posts.values() if document]
        yield Page(documents, {"through": through, "newest": newest, "before": before, "seen": seen, **kept})


def _order(id: Id | None) -> tuple[int, str]:
    return (len(str(id)), str(id)) if id else (0, "")
