"""The outbox: an account that is a file. Posts of a bot without an account elsewhere land here, one JSON line each."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from jobs.accounts import FREE, Duplicate, Outcome, Page, Posted, Published, Shown, Unavailable
from mynah import journal
from mynah.bot import OutboxAccount
from mynah.database.posts import Post
from mynah.errors import MynahError
from mynah.settings import Settings


def open_account(bot: str, name: str, section: OutboxAccount, settings: Settings) -> "Outbox":
    """The outbox in MYNAH_HOME: BOT.jsonl for the account `main`, BOT-ACCOUNT.jsonl for others."""
    file = f"{bot}.jsonl" if name == "main" else f"{bot}-{name}.jsonl"
    return Outbox(settings.home / "outbox" / file)


@dataclass(frozen=True)
class Outbox:
    """The outbox file at `path`: lines {id, text, tweet (the row's id), posted_at}. Like X, it takes a text once."""

    path: Path
    settle: ClassVar[timedelta] = timedelta(0)  # what the file lacks was not posted
    idempotent: ClassVar[bool] = False
    page_size: ClassVar[tuple[int, int]] = (1, 1)  # whatever it is: a page is the whole file
    read_cost: ClassVar[Decimal] = FREE

    @property
    def name(self) -> str:
        return f"the outbox {self.path}"

    def post(self, post: Post) -> Outcome:
        """Append the text, durably."""
        try:
            with journal.opened(self.path) as box:
                if any(line["text"] == post.text for line in box.lines):
                    return Duplicate("the outbox has this text already")
                id = uuid.uuid4().hex
                posted_at = datetime.now(UTC).isoformat(timespec="seconds")
                box.append({"id": id, "text": post.text, "tweet": post.tweet_id, "posted_at": posted_at})
        except MynahError as error:
            return Unavailable(str(error))
        return Posted(self._published(id))

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        """All lines of the file. Raises MynahError where it cannot be read."""
        with journal.opened(self.path) as box:
            return Page([Shown(self._published(line["id"]), line["text"]) for line in reversed(box.lines)], None)

    def same(self, post: Post, shown: Shown) -> bool:
        return post.text == shown.text

    def cost(self, text: str) -> Decimal:
        return FREE

    def long(self, text: str) -> None:
        """A file takes a text of any length."""

    def record(self, post: Post) -> None:
        """The text is all that is written."""

    def _published(self, id: str) -> Published:
        return Published(id, f"{self.path.absolute().as_uri()}#{id}")
