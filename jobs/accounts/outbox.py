"""The outbox: an account that is a file. Posts of a bot without an account elsewhere land here, one JSON line each."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from jobs.accounts import Duplicate, Outcome, Posted, Published, Unavailable
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

    def find(self, post: Post) -> Published | None:
        """The line with this text, or None. Raises MynahError where the file cannot be read."""
        with journal.opened(self.path) as box:
            return next((self._published(line["id"]) for line in box.lines if line["text"] == post.text), None)

    def _published(self, id: str) -> Published:
        return Published(id, f"{self.path.absolute().as_uri()}#{id}")
