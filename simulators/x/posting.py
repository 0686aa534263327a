"""The posting part of X API v2, for the simulator's own account."""

import json
from datetime import UTC, datetime
from typing import Any

from simulators.x.account import USER, Account, Post, invalid, shown
from simulators.x.world import COUNTS

# What X takes beside the text; the simulator has nothing to attach to or to answer.
OTHER_FIELDS = {"card_uri", "community_id", "direct_message_deep_link", "edit_options", "for_super_followers_only"}
OTHER_FIELDS |= {"geo", "made_with_ai", "media", "nullcast", "paid_partnership", "poll", "quote_tweet_id", "reply"}
OTHER_FIELDS |= {"reply_settings", "share_with_followers"}


def create(account: Account, body: bytes) -> dict[str, Any]:
    """POST /2/tweets"""
    try:
        sent = json.loads(body)
    except ValueError:
        raise invalid("body", "", "The body is not JSON.") from None
    if not isinstance(sent, dict):
        raise invalid("body", "", "The body is not a JSON object.")
    for name in sent.keys() - {"text"}:
        if name not in OTHER_FIELDS:
            raise invalid(name, "", f"$.{name}: is not defined in the schema and the schema does not allow it.")
        raise invalid(name, "", f"$.{name}: the simulator posts text alone.")
    if not isinstance(sent.get("text", ""), str):
        raise invalid("text", "", "$.text: must be a string.")
    post = account.create(sent.get("text", ""))
    return {"data": {"id": post.id, "edit_history_tweet_ids": [post.id], "text": shown(post)[0]}}


def delete(account: Account, id: str) -> dict[str, Any]:
    """DELETE /2/tweets/{id}"""
    account.delete(id)
    return {"data": {"deleted": True}}


def own_posts(account: Account, lag: float) -> list[dict[str, Any]]:
    """The account's posts that are older than `lag` seconds, as X shows them, with every field, the newest first."""
    newest = account.now() - lag
    return [_tweet(post) for post in reversed(account.posts.values()) if post.at <= newest]


def text_of(body: bytes) -> str:
    """The text that a request wanted to post, else its body, for people to read."""
    try:
        text = json.loads(body)["text"]
    except (ValueError, TypeError, LookupError):
        text = body.decode(errors="replace")
    return str(text).encode(errors="replace").decode()


def _tweet(post: Post) -> dict[str, Any]:
    text, links = shown(post)
    time = datetime.fromtimestamp(post.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    tweet: dict[str, Any] = {"id": post.id, "edit_history_tweet_ids": [post.id], "text": text, "created_at": time}
    tweet["public_metrics"] = dict.fromkeys(COUNTS, 0)
    return tweet | {"author_id": USER["id"]} | ({"entities": {"urls": links}} if links else {})
