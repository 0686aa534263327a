"""The people on the simulated X and what they wrote, from files of JSON lines.

users   a user of X's shape per line (id, username, name …) and two keys of ours: `state`, which is active, suspended,
        protected or gone, and `followers`, the ids of those who follow, the newest first
posts   a post of X's shape per line (id, author_id, text …), in any order
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mynah.errors import UsageError

EPOCH = 1288834974657  # milliseconds: what X's ids count from
COUNTS = (
    "repost_count",
    "retweet_count",
    "reply_count",
    "like_count",
    "quote_count",
    "bookmark_count",
    "impression_count",
)
STATES = ("active", "suspended", "protected", "gone")


@dataclass
class User:
    """One user."""

    data: dict[str, Any]
    """As X shows it."""
    state: str = "active"
    followers: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    """As X shows them, the newest first."""


@dataclass
class World:
    """Everybody, by id and by name."""

    users: dict[str, User] = field(default_factory=dict)
    names: dict[str, User] = field(default_factory=dict)
    """By the name in lower case."""

    def add(self, line: dict[str, Any]) -> User:
        """Take up a line of the users' file. Raises ValueError or KeyError where it is none."""
        state, followers = line.get("state", "active"), [str(id) for id in line.get("followers", ())]
        if state not in STATES:
            raise ValueError(f"the state {state} is none of {', '.join(STATES)}")
        shown = {key: value for key, value in line.items() if key not in ("state", "followers")}
        shown = {"name": line["username"], **shown, "id": str(line["id"]), "protected": state == "protected"}
        user = self.users[shown["id"]] = self.names[shown["username"].lower()] = User(shown, state, followers)
        return user

    def write(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take up lines of the posts' file. Raises ValueError or KeyError where one is none."""
        authors = set()
        for line in lines:
            id = str(line["id"])
            time = datetime.fromtimestamp(((int(id) >> 22) + EPOCH) / 1000, UTC)
            shown = {"created_at": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **line, "id": id}
            author = self.users[str(line["author_id"])]
            counts = {**dict.fromkeys(COUNTS, 0), **line.get("public_metrics", {})}
            author.posts.append({**shown, "public_metrics": counts, "edit_history_tweet_ids": [id]})
            authors.add(author.data["id"])
        for author in authors:
            self.users[author].posts.sort(key=lambda post: -int(post["id"]))

    def shown(self, user: User) -> dict[str, Any]:
        """The user with what X counts of it."""
        counts = {"followers_count": len(user.followers), "following_count": 0, "listed_count": 0}
        counts |= {"post_count": len(user.posts), "tweet_count": len(user.posts)}
        return {**user.data, "public_metrics": {**counts, **user.data.get("public_metrics", {})}}


def read_world(users: Path | None, posts: Path | None) -> World:
    """The world that two files hold. Raises UsageError with one line where they are no such files."""
    world = World()
    for place, line in _lines(users):
        with _explained(place):
            world.add(line)
    everything = []
    for place, line in _lines(posts):
        with _explained(place):
            author, _, _ = str(line["author_id"]), line["text"], int(line["id"])
            if author not in world.users:
                raise ValueError(f"its author_id {author} is no user's id")
            everything.append(line)
    world.write(everything)
    return world


def _lines(path: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if path is None:
        return
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    with _explained(f"{path}:{number}"):
                        line = json.loads(text)
                        if not isinstance(line, dict):
                            raise ValueError("no JSON object")
                    yield f"{path}:{number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Says in which line what is wrong."""
    try:
        yield
    except KeyError as error:
        raise UsageError(f"{place}: has no {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{place}: is not as it should be: {error}") from None
