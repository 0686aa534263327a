"""The account that a simulator has: what it posted and was refused, kept in a journal."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mynah.journal import Journal

KEPT_REFUSED = 50

AnyPost = TypeVar("AnyPost")


class Account(Generic[AnyPost]):
    """What an account has posted and what it was refused. It stands up again from the journal's lines.

    Its clock is `ahead` of ours by so many seconds. `post_of` makes a post of the journal's line about it, which has
    `id`, a number, and what `tell` was given.
    """

    def __init__(self, journal: Journal, ahead: float, post_of: Callable[[dict[str, Any]], AnyPost]) -> None:
        self.journal, self.ahead, self._post_of = journal, ahead, post_of
        self.posts: dict[str, AnyPost] = {}  # oldest first
        self.refused: deque[dict[str, Any]] = deque(maxlen=KEPT_REFUSED)
        self.last_id = 0
        for line in journal.lines:
            self._apply(line)

    def now(self) -> float:
        """Its time, in seconds since 1970."""
        return time.time() + self.ahead

    def tell(self, event: str, **line: Any) -> None:
        """Note that something was posted or deleted, with its time."""
        self._note({"event": event, **line, "at": round(self.now(), 3)})

    def refuse(self, status: int, why: str, text: str) -> None:
        """Remember a refusal for the page; one of a stranger, a 401, costs no line of the file."""
        line = {"event": "refused", "status": status, "why": why, "text": text[:1000], "at": round(self.now(), 3)}
        if status == 401:
            self._apply(line)
        else:
            self._note(line)

    def _note(self, line: dict[str, Any]) -> None:
        self.journal.append(line)
        self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        match line.get("event"):
            case "posted":
                self.posts[line["id"]] = self._post_of(line)
                self.last_id = int(line["id"])
            case "deleted":
                del self.posts[line["id"]]
            case "refused":
                self.refused.append(line)
