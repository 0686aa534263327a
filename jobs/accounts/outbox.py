"""The outbox: an account that is a file. Posts of a bot without X keys land here, one JSON line each."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from jobs.post import Duplicate, Outcome, Post, Posted, Unavailable
from mynah import journal
from mynah.database import Tweet
from mynah.errors import MynahError


@dataclass(frozen=True)
class Outbox:
    """The outbox file at `path`: lines {id, text, tweet (the row's id), posted_at}. Like X, it takes a text once."""

    path: Path
    settle: ClassVar[timedelta] = timedelta(0)  # what the file lacks was not posted

    @property
    def name(self) -> str:
        return f"the outbox {self.path}"

    def post(self, tweet: Tweet) -> Outcome:
        """Append the tweet's text, durably."""
        try:
            with journal.opened(self.path) as box:
                if any(line["text"] == tweet.text for line in box.lines):
                    return Duplicate("the outbox has this text already")
                id = uuid.uuid4().hex
                posted_at = datetime.now(UTC).isoformat(timespec="seconds")
                box.append({"id": id, "text": tweet.text, "tweet": tweet.id, "posted_at": posted_at})
        except MynahError as error:
            return Unavailable(str(error))
        return Posted(self._post(id))

    def find(self, tweet: Tweet) -> Post | None:
        """The post of this text, or None. Raises MynahError where the file cannot be read."""
        with journal.opened(self.path) as box:
            return next((self._post(line["id"]) for line in box.lines if line["text"] == tweet.text), None)

    def _post(self, id: str) -> Post:
        return Post(id, f"{self.path.absolute().as_uri()}#{id}")
