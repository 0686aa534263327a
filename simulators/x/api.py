"""A stand-in for X: the posting part of X API v2, for one account, with a page that shows what was posted.

It speaks to any client library of X, such as tweepy: OAuth 1.0a signatures, rate limits, refusals and the
shape of the answers are X's (docs.x.com/x-api). What it is told is kept in a file of JSON lines.
"""

import base64
import hashlib
import html
import json
import os
import socket
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import uvicorn
from oauthlib.oauth1 import ResourceEndpoint
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mynah.errors import MynahError
from mynah.journal import Journal, opened
from mynah.tweet import weight
from simulators.x.access import Keys, Limits
from simulators.x.account import PROBLEMS, USER, Account, Post, Refusal, invalid, shown

# Anyone may know these: they open nothing but a simulator.
DEMO_KEYS = {
    "X_API_KEY": "mynahDemoApiKey0000000000",
    "X_API_SECRET": "mynahDemoApiSecret00000000000000000000000000000000",
    "X_ACCESS_TOKEN": USER["id"] + "-mynahDemoAccessToken0000000000",
    "X_ACCESS_TOKEN_SECRET": "mynahDemoAccessTokenSecret0000000000000000000",
}
MAX_BODY = 1 << 16  # bytes
SHOWN = 200  # posts on the page
# What X takes beside the text; the simulator has nothing to attach to or to answer.
OTHER_FIELDS = {"card_uri", "community_id", "direct_message_deep_link", "edit_options", "for_super_followers_only"}
OTHER_FIELDS |= {"geo", "made_with_ai", "media", "nullcast", "paid_partnership", "poll", "quote_tweet_id", "reply"}
OTHER_FIELDS |= {"reply_settings", "share_with_followers"}

Answer: TypeAlias = tuple[dict[str, Any], int]  # body and status


def application(journal: Journal, keys: Mapping[str, str] = DEMO_KEYS) -> Starlette:
    """The simulator as an ASGI application. `keys` are the only four that it takes, by the names of DEMO_KEYS."""
    account, limits = Account(journal), Limits()
    oauth = ResourceEndpoint(Keys(keys))

    def api(endpoint: str, method: str, path: str, answer: Callable[[Account, Request, bytes], Answer]) -> Route:
        async def handle(request: Request) -> Response:
            headers: dict[str, str] = {}
            body = b""
            try:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise Refusal(413, "Payload Too Large", f"The body is longer than {MAX_BODY} bytes.")
                if not _is_signed(oauth, request, body):
                    raise Refusal(401, "Unauthorized", "Unauthorized")
                within, headers = limits.take(endpoint)
                if not within:
                    raise Refusal(429, "Too Many Requests", "Too Many Requests")
                content, status = answer(account, request, body)
            except Refusal as refusal:
                account.refuse(refusal, _text(body) or f"{method} {path}")
                content, status = refusal.body, refusal.status
            return JSONResponse(content, status, headers)

        return Route(path, handle, methods=[method])

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(account), headers=PAGE_HEADERS)

    async def status(request: Request) -> Response:
        return RedirectResponse(f"/#{int(request.path_params['id'])}", 302)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            api("create", "POST", "/2/tweets", _create),
            api("delete", "DELETE", "/2/tweets/{id:int}", _delete),
            api("me", "GET", "/2/users/me", _me),
            api("timeline", "GET", "/2/users/{id:int}/tweets", _timeline),
            Route("/", page),
            Route("/i/web/status/{id:int}", status),
            Route("/health", health),
        ]
    )


def _is_signed(oauth: ResourceEndpoint, request: Request, body: bytes) -> bool:
    headers = {name.title(): request.headers.get(name, "") for name in ("authorization", "content-type")}
    try:
        valid, _ = oauth.validate_protected_resource_request(
            str(request.url), request.method, body.decode(errors="replace"), headers
        )
    except ValueError:  # a header or a query that is no OAuth at all
        return False
    return bool(valid)


def _text(body: bytes) -> str:
    """The text that a request wanted to post, else its body, for people to read."""
    try:
        text = json.loads(body)["text"]
    except (ValueError, TypeError, LookupError):
        text = body.decode(errors="replace")
    return str(text).encode(errors="replace").decode()


def _create(account: Account, request: Request, body: bytes) -> Answer:
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
    return {"data": {"id": post.id, "edit_history_tweet_ids": [post.id], "text": shown(post)[0]}}, 201


def _delete(account: Account, request: Request, body: bytes) -> Answer:
    account.delete(str(request.path_params["id"]))
    return {"data": {"deleted": True}}, 200


def _me(account: Account, request: Request, body: bytes) -> Answer:
    return {"data": USER}, 200


def _timeline(account: Account, request: Request, body: bytes) -> Answer:
    query = request.query_params
    for name in query.keys() - {"max_results", "pagination_token", "tweet.fields", "exclude"}:
        raise invalid(name, query[name], f"The query parameter [{name}] is not one that the simulator knows.")
    id = str(request.path_params["id"])
    if id != USER["id"]:  # X answers 200 here too
        error = {"title": "Not Found Error", "detail": f"Could not find user with id: [{id}].", "value": id}
        error |= {"parameter": "id", "resource_type": "user", "type": PROBLEMS + "resource-not-found"}
        return {"errors": [error]}, 200
    size = query.get("max_results", "10")
    if not (size.isdecimal() and 5 <= int(size) <= 100):
        raise invalid(
            "max_results", size, f"The `max_results` query parameter value [{size}] is not between 5 and 100."
        )
    token = query.get("pagination_token", "")
    posts = list(reversed(account.posts.values()))
    if token:
        if not (token.startswith("p") and token[1:].isdecimal()):
            raise invalid("pagination_token", token, "The `pagination_token` is not one that was given out.")
        posts = [post for post in posts if int(post.id) < int(token[1:])]
    page = posts[: int(size)]
    meta: dict[str, Any] = {"result_count": len(page)}
    if not page:
        return {"meta": meta}, 200
    meta |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
    if len(posts) > len(page):
        meta["next_token"] = f"p{page[-1].id}"
    fields = query.get("tweet.fields", "").split(",")
    return {"data": [_tweet(post, fields) for post in page], "meta": meta}, 200


def _tweet(post: Post, fields: list[str]) -> dict[str, Any]:
    text, links = shown(post)
    tweet: dict[str, Any] = {"id": post.id, "edit_history_tweet_ids": [post.id], "text": text}
    if "author_id" in fields:
        tweet["author_id"] = USER["id"]
    if "created_at" in fields:
        tweet["created_at"] = (
            datetime.fromtimestamp(post.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
    if "entities" in fields and links:
        tweet["entities"] = {"urls": links}
    return tweet


PAGE = string.Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_STYLE = PAGE.template.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def _page(account: Account) -> str:
    posts = list(reversed(account.posts.values()))[:SHOWN]
    articles = [
        f'<article id="{post.id}"><p>{html.escape(post.text)}</p><p class="faint">'
        f'<a href="#{post.id}">{_time(post.at)}</a>'
        f" · weight {weight(post.text)} · ${post.cost:.3f}</p></article>"
        for post in posts
    ]
    refused = [
        f'<article><p>{html.escape(line["text"] or "(no text)")}</p><p class="faint">{_time(line["at"])}'
        f" · {line['status']} {html.escape(line['why'])}</p></article>"
        for line in reversed(account.refused)
    ]
    older = f", the newest {SHOWN} shown" if len(account.posts) > SHOWN else ""
    return PAGE.substitute(
        name=html.escape(USER["name"]),
        username=html.escape(USER["username"]),
        counts=f"Posts: {len(account.posts)}{older}. X would have charged ${account.spent:.3f}.",
        posts="\n".join(articles) or "<p>Nothing posted yet.</p>",
        refused="\n".join(["<h2>Refused</h2>", *refused]) if refused else "",
    )


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def serve(host: str, port: int, state: Path, keys: Mapping[str, str] = DEMO_KEYS) -> None:
    """Run the simulator until it is stopped; `port` 0 takes a free one. Prints what to set to use it.

    Raises MynahError where the port or the file `state` is taken.
    """
    with opened(state, wait=False) as journal, _listen(host, port) as listener:
        port = listener.getsockname()[1]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(f"X simulator on {url}, kept in {state}; nothing reaches X. To post to it:")
        for name, value in {"X_API_URL": url, **keys}.items():
            print(f"  export {name}={value}")
        print(flush=True)
        config = uvicorn.Config(
            application(journal, keys), log_level="warning", lifespan="off", timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise MynahError(f"cannot listen on {host}:{port}: {reason}; choose another with --host and --port") from None
