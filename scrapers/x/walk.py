"""One account of X: what is asked for next, and what the answer changes. Pure.

The state of an account is a map:

    id        the account's number
    posts     how many it had when it was looked up, until it was read
    through   up to which post everything was read
    newest, before, seen    in the middle of a walk back: its newest post, before which post it goes on, and how many it
              has seen. A walk is one request after the other with `until_id`: X's own tokens may run out
    empty     the walk's last answer held nothing, though the one before said that there is more
    daily     posts per day, as the first walk found them
    at, gave  when the account was last read to the end, and when that brought a post, in days since 1970
    quiet     that it gives nothing new though it used to, and has its posts still
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mynah.bot.sources.x import XPosts
from mynah.database.spend import Sent
from mynah.document import Document
from mynah.failed_request import short

State = dict[str, Any]

PAGE, SMALLEST = 100, 5  # posts per request, as X allows
FRESH = 60.0  # seconds: what is younger is read the next time, so that a request asked again finds the same
SILENCE = 30  # posts that did not come, from which on an account's silence is looked into
ACTIVE = 30.0  # days: an account whose newest post is older was silent before
EPOCH = 1288834974657  # milliseconds: what X's ids count from
FIELDS = ["created_at", "public_metrics", "referenced_tweets", "in_reply_to_user_id", "note_tweet"]
COUNTS = {  # X's names, the newest first → ours
    "likes": ("like_count",),
    "replies": ("reply_count",),
    "reposts": ("repost_count", "retweet_count"),
    "quotes": ("quote_count",),
    "views": ("impression_count",),
}


@dataclass(frozen=True)
class Step:
    """What an answer comes to."""

    state: State
    documents: list[Document] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    token: str | None = None
    """Where a page held nothing, but there is more: where that goes on."""
    done: bool = True
    """Whether this walk is at its end."""


def time_of(id: int) -> datetime:
    """When a post was written: its id tells it."""
    return datetime.fromtimestamp(((id >> 22) + EPOCH) / 1000, UTC)


def request_of(state: State, token: str | None) -> str:
    """The next request, in words that stay the same when it is asked again after a kill."""
    where = f"posts of {state['id']} since {state.get('through', 0)} before {state.get('before', 'now')}"
    return f"{where} from {token}" if token else where


def parameters(source: XPosts, state: State, token: str | None, now: float, rest: Decimal) -> Sent | None:
    """How it is sent, as tweepy takes it, for at most `rest` dollars; None where that pays for no page."""
    price = Decimal(str(source.prices.post))
    size = affordable(rest, price, _size(source, state))
    if size < SMALLEST:
        return None
    asked: dict[str, Any] = {"id": state["id"], "max_results": size, "tweet_fields": FIELDS}
    asked["until_id"] = str(state["before"]) if "before" in state else _fresh(now)
    if "through" in state:
        asked["since_id"] = str(state["through"])
    elif source.since:
        asked["start_time"] = f"{source.since}T00:00:00Z"
    if not source.retweets:
        asked["exclude"] = ["retweets"]
    if token:
        asked["pagination_token"] = token
    return Sent(asked, size * price)


def affordable(rest: Decimal, price: Decimal, most: int) -> int:
    """How many things at this price the rest pays for, up to `most`."""
    return min(int(rest / price), most) if price else most


def errors_of(body: dict[str, Any]) -> list[str]:
    """What X's answer says against what it was asked, a line each."""
    return [short(error.get("detail") or error.get("title") or error) for error in body.get("errors", ())]


def _fresh(now: float) -> str:
    """The id of a post that is too young to be read."""
    return str(int((now - FRESH) * 1000) - EPOCH << 22)


def _size(source: XPosts, state: State) -> int:
    """Posts to ask for: the first walk ends after `limit`, and X gives no fewer than five."""
    if "through" in state or source.limit is None:
        return PAGE
    left: int = max(source.limit - state.get("seen", 0), SMALLEST)
    return left - SMALLEST if PAGE < left < PAGE + SMALLEST else min(left, PAGE)


def is_whole(body: dict[str, Any]) -> bool:
    """Whether an answer says anything: posts or accounts, errors that are not X's own, or that there are none."""
    errors = [error for error in body.get("errors", ()) if not str(error.get("type")).endswith("internal-error")]
    return bool(body.get("data") or errors) or body.get("meta", {}).get("result_count") == 0


def step(source: XPosts, name: str, state: State, sent: dict[str, Any], body: dict[str, Any], now: float) -> Step:
    """What the answer `body` to the request `sent` changes."""
    errors = errors_of(body)
    # X gives its newest posts again where it does not reach as far back as it is asked.
    posts = [post for post in body.get("data", ()) if int(post["id"]) < int(sent["until_id"])]
    more = body.get("meta", {}).get("next_token")
    if errors and not body.get("data"):
        kept = f"; its posts up to {time_of(state['through']):%Y-%m-%d} are kept" if "through" in state else ""
        return Step(state, problems=[f"@{name}: {'; '.join(errors)}{kept}"])
    problems = [f"@{name}: in part: {error}" for error in errors]
    if not posts and more:
        return Step(state, problems=problems, token=more, done=False)
    if not posts and "before" in state and "empty" not in state:
        return Step({**state, "empty": 1}, problems=problems)
    ids = [int(post["id"]) for post in posts]
    newest, seen = max([state.get("newest", 0), *ids]), state.get("seen", 0) + len(ids)
    limit = None if "through" in state else source.limit
    documents = [document_of(post, name) for post in posts if source.replies or not _to_others(post, state["id"])]
    if more and ids and not (limit and seen >= limit):
        walk = {key: value for key, value in state.items() if key != "empty"}
        walk |= {"newest": newest, "before": min(ids), "seen": seen}
        return Step(walk, documents, problems, done=False)
    today = round(now / 86400, 2)
    read: State = {key: state[key] for key in ("id", "through", "daily", "gave", "quiet") if key in state}
    if newest:
        read.pop("quiet", None)
        read["gave"] = today
        if "through" not in state and seen > 1:
            days = max((time_of(newest) - time_of(min([*ids, state.get("before", newest)]))).total_seconds() / 86400, 1)
            read["daily"] = round(seen / days, 2)
        read["through"] = max(newest, state.get("through", 0))
    elif "posts" in state:
        read["posts"] = state["posts"]
    return Step({**read, "at": today}, documents, problems)


def is_silent(state: State, now: float) -> bool:
    """Whether an account that wrote all the time has given nothing for as long as it took for SILENCE posts."""
    if "quiet" in state or "before" in state or not {"through", "gave", "daily"} <= state.keys():
        return False
    age = state["gave"] - time_of(state["through"]).timestamp() / 86400  # days, of its newest post when that came
    return bool(age < ACTIVE and state["daily"] * (now / 86400 - state["gave"]) >= SILENCE)


def any_post(source: XPosts, state: State, now: float, rest: Decimal) -> Sent | None:
    """How it is asked whether a silent account has any post at all: that costs nothing where it has none."""
    most = SMALLEST * Decimal(str(source.prices.post))
    asked = {"id": state["id"], "max_results": SMALLEST, "until_id": _fresh(now)}
    return Sent(asked, most) if most <= rest else None


def document_of(post: dict[str, Any], name: str) -> Document:
    """A post as X gives it; of a long one, all of it."""
    counts = post.get("public_metrics") or {}
    numbers = {ours: next((counts[x] for x in names if x in counts), None) for ours, names in COUNTS.items()}
    return Document(
        id=post["id"],
        text=(post.get("note_tweet") or {}).get("text") or post["text"],
        author=name,
        created_at=post.get("created_at"),
        numbers={ours: number for ours, number in numbers.items() if number is not None},
        repost=any(reference["type"] == "retweeted" for reference in post.get("referenced_tweets") or ()),
    )


def _to_others(post: dict[str, Any], id: str) -> bool:
    """Whether it answers somebody else's post."""
    answers = any(reference["type"] == "replied_to" for reference in post.get("referenced_tweets") or ())
    return bool(post.get("in_reply_to_user_id", id if not answers else "") != id)
