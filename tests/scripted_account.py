"""An account that does what a test says: it posts, loses answers, dies, hides a post for a while, cannot be read."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from jobs.accounts import (
    FREE,
    Duplicate,
    Outcome,
    Page,
    Posted,
    Published,
    Record,
    Refused,
    Shown,
    Unavailable,
    Unknown,
)
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.errors import MynahError


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Scripted:
    """An account that does what `plan` says, in order, and posts when it has run out. It remembers every post."""

    plan: list[str] = field(default_factory=list)
    settle: timedelta = timedelta(minutes=10)
    name: str = "the script"
    posts: list[str] = field(default_factory=list)
    hidden: int = 0  # how many of the last posts the timeline does not show yet
    blind: bool = False  # whether the timeline cannot be read
    unclear: set[str] = field(default_factory=set)  # texts of posts that cannot be told from another
    notices: bool = True  # whether it refuses duplicates by itself, as X mostly does
    attempts: int = 0
    idempotent: bool = False
    page_size: tuple[int, int] = (2, 8)
    read_cost: Decimal = FREE
    post_cost: Decimal = FREE
    failing: list[bool] = field(default_factory=list)  # which of the next readings fail
    reads: list[tuple[int, str | None]] = field(default_factory=list)  # size and cursor of each

    keys: dict[str, str] = field(default_factory=dict)  # where idempotent: the texts by the keys of their records

    def post(self, post: Post) -> Outcome:
        self.attempts += 1
        if (key := (post.record or {}).get("key")) in self.keys:
            return Posted(self._published(self.keys[key]))
        step = self.plan.pop(0) if self.plan else "post"
        if step == "die before":
            raise Killed
        if step.startswith(("post", "die after")):
            if self.notices and post.text in self.posts:
                return Duplicate("it says 403: duplicate content")
            self.posts.append(post.text)
            if key:
                self.keys[key] = post.text
            self.hidden = 1 if step.endswith("late") else 0
        match step:
            case "die after" | "die after, late":
                raise Killed
            case "post and lose the answer" | "post late" | "lose the request":
                return Unknown("the answer was lost")
            case "refuse":
                return Refused("it says 400: bad text")
            case "limit":
                return Unavailable("the limit is reached", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC))
            case "no keys":
                return Unavailable("it says 401: wrong keys")
            case "duplicate":
                return Duplicate("it says 403: duplicate content")
        return Posted(self._published(post.text))

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        self.reads.append((size, cursor))
        if self.blind or (self.failing and self.failing.pop(0)):
            raise MynahError("the timeline cannot be read")
        newest = [*reversed(self.posts[int(after or 0) : len(self.posts) - self.hidden])]
        begin = int(cursor or 0)
        end = min(begin + size, len(newest))
        page = [Shown(self._published(text), text, {}, {"likes": len(text)}) for text in newest[begin:end]]
        return Page(page, str(end) if end < len(newest) else None)

    def same(self, post: Post, shown: Shown) -> bool | None:
        return None if shown.text in self.unclear else post.text == shown.text

    def cost(self, text: str) -> Decimal:
        return self.post_cost

    def record(self, post: Post) -> Record | None:
        return post.record or {"key": f"{self.name} {post.tweet_id} {post.text}"} if self.idempotent else None

    def long(self, text: str) -> None: ...

    def _published(self, text: str) -> Published:
        id = str(self.posts.index(text) + 1)
        return Published(id, f"https://example.com/{self.name.replace(' ', '-')}/{id}")


def let_pass(connection: Connection, minutes: int) -> None:
    """So much time passes: what is in Postgres was so much earlier."""
    for table, columns in {
        "posts": ("claimed_at", "posted_at", "failed_at", "retry_at"),
        "slots": ("retry_at",),
        "readings": ("begun_at", "since"),
    }.items():
        earlier = ", ".join(f"{column} = {column} - make_interval(mins => %(minutes)s)" for column in columns)
        connection.execute(f"UPDATE {table} SET {earlier}", {"minutes": minutes})  # type: ignore[arg-type]
