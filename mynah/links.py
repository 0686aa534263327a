"""Links by which a person decides about one text without signing in: signed, for one revision, until a time.

A link reads /decide/BOT.TWEET.REVISION.TIME.SIGNATURE. Any decision makes another revision, so that a link decides once
at the most. Only the key says that a link is one of ours: whoever has a link may decide with it.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from mynah.errors import MynahError

_PURPOSE = b"mynah: decide about a tweet, version 1\n"  # a signature for this is none for anything else


@dataclass(frozen=True)
class Link:
    """What a link is about, and until when it is good."""

    bot: str
    tweet: int
    revision: int
    until: datetime


class NoLink(MynahError):
    """It is none of ours, or was changed on the way."""


class Expired(MynahError):
    """Its time is over."""


def token(key: str, link: Link) -> str:
    """The link's last part, signed with `key`."""
    said = f"{link.bot}.{link.tweet}.{link.revision}.{int(link.until.timestamp())}"
    return f"{said}.{_signature(key, said)}"


def read(key: str, token: str, now: datetime) -> Link:
    """What a link's last part says. Raises NoLink and Expired."""
    said, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), _signature(key, said).encode()):
        raise NoLink("this link is none of ours, or was cut")
    bot, tweet, revision, until = said.split(".")
    link = Link(bot, int(tweet), int(revision), datetime.fromtimestamp(int(until), UTC))
    if now >= link.until:
        raise Expired(f"this link was good until {link.until:%Y-%m-%d %H:%M} UTC")
    return link


def _signature(key: str, said: str) -> str:
    """128 bits of an HMAC, 22 characters."""
    digest = hmac.digest(key.encode(), _PURPOSE + said.encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
