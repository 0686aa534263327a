"""The simulator's account on X: its posts, what it was refused, and how X shows a post's text."""

import hashlib
import html
import unicodedata
from dataclasses import dataclass
from typing import Any

from mynah.journal import Journal
from mynah.rules import refused_by_x
from mynah.tweet import url_spans, urls
from simulators import account

USER = {"id": "1600000000000000000", "name": "Mynah Demo", "username": "mynah_demo"}
POST_COST, URL_POST_COST = 0.015, 0.20  # dollars, X's prices since 2026-02
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
PROBLEMS = "https://api.x.com/2/problems/"


class Refusal(Exception):
    """An answer with an error status and a body of X's shape."""

    def __init__(self, status: int, title: str, detail: str, kind: str = "about:blank", **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"title": title, "detail": detail, "type": kind, "status": status, **more}


@dataclass(frozen=True)
class Post:
    """One post of the account."""

    id: str
    text: str
    at: float  # seconds since 1970

    @property
    def cost(self) -> float:
        return URL_POST_COST if urls(self.text) else POST_COST


class Account(account.Account[Post]):
    """What the simulated account has posted and what it was refused. It takes a text once."""

    def __init__(self, journal: Journal, ahead: float = 0) -> None:
        super().__init__(journal, ahead, _post)

    @property
    def spent(self) -> float:
        """Dollars that its posts would have cost, those that are deleted too."""
        return sum(_post(line).cost for line in self.journal.lines if line.get("event") == "posted")

    def create(self, text: str) -> Post:
        """Post a text. Raises Refusal."""
        text = unicodedata.normalize("NFC", text.strip())
        if wrong := refused_by_x(text):
            value = text[:100].encode(errors="replace").decode()
            raise invalid("text", value, f"The text cannot be posted: {wrong.words}.")
        if any(post.text == text for post in self.posts.values()):
            raise Refusal(403, "Forbidden", DUPLICATE)
        # As X's: milliseconds since its own epoch, then 22 bits of machine and sequence.
        id = max(int(self.now() * 1000) - 1288834974657 << 22, self.last_id + 1)
        self.tell("posted", id=str(id), text=text)
        return self.posts[str(id)]

    def delete(self, id: str) -> None:
        """Delete a post. Raises Refusal where there is none."""
        if id not in self.posts:
            detail = f"Could not find tweet with id: [{id}]."
            kind = PROBLEMS + "resource-not-found"
            raise Refusal(404, "Not Found Error", detail, kind, parameter="id", resource_type="tweet", value=id)
        self.tell("deleted", id=id)


def _post(line: dict[str, Any]) -> Post:
    return Post(line["id"], line["text"], line["at"])


def invalid(parameter: str, value: str, message: str) -> Refusal:
    """X's answer to a request that it does not understand."""
    detail = "One or more parameters to your request was invalid."
    errors = [{"parameters": {parameter: [value]}, "message": message}]
    return Refusal(400, "Invalid Request", detail, PROBLEMS + "invalid-request", errors=errors)


def shown(post: Post) -> tuple[str, list[dict[str, Any]]]:
    """The text as X gives it back, & < > escaped and links behind t.co, and what those links stand for."""
    shown, position, links = "", 0, []
    for start, end in url_spans(post.text):
        shown += html.escape(post.text[position:start], quote=False)
        short = "https://t.co/" + hashlib.sha256(f"{post.id} {start}".encode()).hexdigest()[:10]
        full = post.text[start:end]
        bare = full.removeprefix("https://").removeprefix("http://")
        links.append(
            {
                "start": len(shown),
                "end": len(shown) + len(short),
                "url": short,
                "expanded_url": full if bare != full else f"http://{full}",
                "display_url": bare if len(bare) <= 27 else bare[:26] + "…",
            }
        )
        shown += short
        position = end
    return shown + html.escape(post.text[position:], quote=False), links
