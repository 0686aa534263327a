"""The reading part of X API v2: users by their names, timelines, followers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams

from simulators.x.account import PROBLEMS, invalid
from simulators.x.world import User, World

REACH, REACH_WITHOUT_REPLIES = 3200, 800  # posts that a timeline goes back
USER_FIELDS, POST_FIELDS = {"id", "name", "username"}, {"id", "text", "edit_history_tweet_ids"}  # without being asked
TIMELINE = {"max_results", "pagination_token", "since_id", "until_id", "start_time", "exclude", "tweet.fields"}

Body = dict[str, Any]


def users_by(world: World, query: QueryParams) -> Body:
    """GET /2/users/by"""
    _known(query, {"usernames", "user.fields"})
    names = query.get("usernames", "").split(",")
    if not (names[0] and len(names) <= 100):
        raise invalid("usernames", query.get("usernames", ""), "The number of `usernames` is not between 1 and 100.")
    for name in names:
        if not (name.isascii() and name.replace("_", "").isalnum() and len(name) <= 15):
            raise invalid("usernames", name, f"The `usernames` query parameter value [{name}] is no user's name.")
    found, errors = [], []
    for name in names:
        user = world.names.get(name.lower())
        if user is None or user.state in ("suspended", "gone"):
            errors.append(_missing(user, "usernames", name))
        else:
            found.append(_fields(world.shown(user), USER_FIELDS, query.get("user.fields", "")))
    return ({"data": found} if found else {}) | ({"errors": errors} if errors else {})


def timeline(world: World, id: str, query: QueryParams) -> Body:
    """GET /2/users/{id}/tweets"""
    user = world.users.get(id)
    if user is None or user.state != "active":
        return {"errors": [_missing(user, "id", id)]}
    return page_of_posts(user.posts, query)


def page_of_posts(posts: Sequence[dict[str, Any]], query: QueryParams) -> Body:
    """What a timeline answers; `posts` are all of it, as X shows them with every field, the newest first."""
    _known(query, TIMELINE)
    size = _size(query, 10, 5, 100)
    exclude = {*query.get("exclude", "").split(",")} - {""}
    if not exclude <= {"replies", "retweets"}:
        raise invalid("exclude", query["exclude"], "The `exclude` query parameter is none of replies and retweets.")
    since, until = _id(query, "since_id") or 0, _id(query, "until_id")
    token = query.get("pagination_token", "")
    if token:
        if not (token.startswith("p") and token[1:].isdecimal()):
            raise invalid("pagination_token", token, "The `pagination_token` is not one that was given out.")
        until = min(int(token[1:]), until or int(token[1:]))
    start = _time(query, "start_time")
    left = [post for post in posts if not _is_excluded(post, exclude)] if "replies" in exclude else posts
    reached = left[: REACH_WITHOUT_REPLIES if "replies" in exclude else REACH]
    found = [
        post
        for post in reached
        if int(post["id"]) > since
        and (until is None or int(post["id"]) < until)
        and (start is None or datetime.fromisoformat(post["created_at"]) >= start)
        and not _is_excluded(post, exclude)
    ]
    page = found[:size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if not page:
        return {"meta": meta}
    meta |= {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"]}
    if len(found) > size:
        meta["next_token"] = f"p{page[-1]['id']}"
    return {"data": [_fields(post, POST_FIELDS, query.get("tweet.fields", "")) for post in page], "meta": meta}


def followers(world: World, id: str, query: QueryParams) -> Body:
    """GET /2/users/{id}/followers"""
    _known(query, {"max_results", "pagination_token", "user.fields"})
    size, token = _size(query, 100, 1, 1000), query.get("pagination_token", "")
    if token and not (len(token) == 16 and token.startswith("F") and token[1:].isdecimal()):
        raise invalid("pagination_token", token, "The `pagination_token` is not one that was given out.")
    user = world.users.get(id)
    if user is None or user.state != "active":
        return {"errors": [_missing(user, "id", id)]}
    begin = int(token[1:] or "0")
    page = user.followers[begin : begin + size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if begin + size < len(user.followers):
        meta["next_token"] = f"F{begin + size:015}"
    if not page:
        return {"meta": meta}
    known = [world.shown(world.users[id]) if id in world.users else _stranger(id) for id in page]
    return {"data": [_fields(one, USER_FIELDS, query.get("user.fields", "")) for one in known], "meta": meta}


def _stranger(id: str) -> dict[str, Any]:
    """A follower that has no line in the users' file."""
    return {"id": id, "name": f"User {id}", "username": f"u{id}"[:15]}


def _missing(user: User | None, parameter: str, value: str) -> dict[str, Any]:
    """X's error, in a 200, about a user that it does not show."""
    error = {"parameter": parameter, "resource_type": "user", "value": value, "resource_id": value}
    if user and user.state == "suspended":
        error |= {"title": "Forbidden", "detail": f"User has been suspended: [{value}]."}
    elif user and user.state == "protected":
        error |= {"title": "Authorization Error", "type": PROBLEMS + "not-authorized-for-resource"}
        return error | {"detail": f"Sorry, you are not authorized to see the user with {parameter}: [{value}]."}
    else:
        error |= {"title": "Not Found Error", "detail": f"Could not find user with {parameter}: [{value}]."}
    return error | {"type": PROBLEMS + "resource-not-found"}


def _is_excluded(post: dict[str, Any], exclude: set[str]) -> bool:
    kinds = {reference["type"] for reference in post.get("referenced_tweets", ())}
    return ("retweets" in exclude and "retweeted" in kinds) or ("replies" in exclude and "replied_to" in kinds)


def _fields(thing: dict[str, Any], always: set[str], asked: str) -> dict[str, Any]:
    return {key: value for key, value in thing.items() if key in always or key in asked.split(",")}


def _known(query: QueryParams, names: Iterable[str]) -> None:
    for name in query.keys() - {*names}:
        raise invalid(name, query[name], f"The query parameter [{name}] is not one that the simulator knows.")


def _size(query: QueryParams, default: int, low: int, high: int) -> int:
    size = query.get("max_results", str(default))
    if not (size.isdecimal() and low <= int(size) <= high):
        wrong = f"The `max_results` query parameter value [{size}] is not between {low} and {high}."
        raise invalid("max_results", size, wrong)
    return int(size)


def _id(query: QueryParams, name: str) -> int | None:
    value = query.get(name)
    if value is not None and not (value.isdecimal() and len(value) <= 19):
        raise invalid(name, value, f"The `{name}` query parameter value [{value}] is not a valid id.")
    return None if value is None else int(value)


def _time(query: QueryParams, name: str) -> datetime | None:
    value = query.get(name)
    try:
        return None if value is None else datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise invalid(name, str(value), f"The `{name}` query parameter value [{value}] is no time.") from None
