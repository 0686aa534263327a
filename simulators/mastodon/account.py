"""The simulator's account on Mastodon: its statuses, what it was refused, and the keys that it has seen."""

import time
from dataclasses import dataclass
from typing import Any

from mynah.journal import Journal
from mynah.lengths import MASTODON_MAX, mastodon_length
from simulators import account

USER = {"id": "110000000000000001", "username": "mynah_demo", "display_name": "Mynah Demo"}
KEY_KEPT = 3600.0  # seconds that Mastodon remembers an Idempotency-Key
VISIBILITIES = ("public", "unlisted", "private", "direct")


class Refusal(Exception):
    """An answer with an error status and a body of Mastodon's shape."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error}


@dataclass(frozen=True)
class Status:
    """One post of the account."""

    id: str
    text: str
    at: float  # seconds since 1970
    visibility: str
    language: str | None


class Account(account.Account[Status]):
    """What the simulated account has posted and what it was refused.

    Unlike X, it takes a text any number of times. It remembers an Idempotency-Key for `key_kept` seconds.
    """

    def __init__(self, journal: Journal, ahead: float = 0, key_kept: float = KEY_KEPT) -> None:
        super().__init__(journal, ahead, _status)
        self.key_kept = key_kept
        self._keys: dict[str, tuple[str, float]] = {}  # Idempotency-Key → status, when it is forgotten

    def known(self, key: str) -> Status | None:
        """The status that was made with this Idempotency-Key, while that is remembered."""
        id, until = self._keys.get(key, ("", 0.0))
        return self.posts.get(id) if time.time() < until else None

    def create(self, fields: dict[str, Any], key: str) -> Status:
        """Post a status, and remember the key it came with. Raises Refusal."""
        text = str(fields.get("status") or "").strip()
        if not text:
            raise Refusal(422, "Validation failed: Text can't be blank")
        if mastodon_length(text) > MASTODON_MAX:
            raise Refusal(422, f"Validation failed: Text character limit of {MASTODON_MAX} exceeded")
        visibility = fields.get("visibility") or "public"
        if visibility not in VISIBILITIES:
            raise Refusal(422, "Validation failed: Visibility is not included in the list")
        # As Mastodon's: milliseconds, then 16 bits of sequence.
        id = str(max(int(self.now() * 1000) << 16, self.last_id + 1))
        language = fields.get("language") or None
        self.tell("posted", id=id, text=text, visibility=visibility, language=language)
        if key:
            self._keys[key] = id, time.time() + self.key_kept
        return self.posts[id]

    def get(self, id: str) -> Status:
        """A status by its id. Raises Refusal where there is none."""
        if id not in self.posts:
            raise Refusal(404, "Record not found")
        return self.posts[id]

    def delete(self, id: str) -> Status:
        """Delete a status. Raises Refusal where there is none."""
        status = self.get(id)
        self.tell("deleted", id=id)
        return status


def _status(line: dict[str, Any]) -> Status:
    return Status(line["id"], line["text"], line["at"], line["visibility"], line["language"])
