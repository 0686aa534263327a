"""A stand-in for a server of Mastodon: what a bot needs of its API, with a page that shows what was posted.

It speaks to any client library, such as Mastodon.py: token, rate limit, refusals and the shape of the answers are
Mastodon's. So are its faults: an Idempotency-Key is noted only once the status is made, so that a repeat while the
first is still at work makes a second one, and it is kept for an hour; on request, a repeat is answered by 500 though
the status stands. What is posted is kept in a file of JSON lines.
"""

import asyncio
import hmac
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mynah.journal import Journal, opened
from mynah.lengths import mastodon_length
from simulators.hostile import Hostile
from simulators.listening import listening, run
from simulators.mastodon import entities
from simulators.mastodon.account import KEY_KEPT, USER, Account, Refusal
from simulators.page import PAGE_HEADERS, Shown, page

DEMO_TOKEN = "mynahDemoMastodonToken000000000000000000000"  # noqa: S105 — opens nothing but a simulator
API = "/api/"  # what the paths of the API begin with
MAX_BODY = 1 << 16  # bytes
WINDOW, LIMIT = 300.0, 300  # seconds, and the requests of an account in them
PAGE, LARGEST_PAGE = 20, 40  # statuses
WHY = {429: "Too many requests", 503: "Remote SSL certificate could not be verified"}


def application(
    journal: Journal,
    token: str = DEMO_TOKEN,
    *,
    work: float = 0,
    repeats_fail: bool = False,
    key_kept: float = KEY_KEPT,
    window: float = WINDOW,
    ahead: float = 0,
    lag: float = 0,
) -> Starlette:
    """The simulator as an ASGI application. `token` is the only access token that it takes.

    A status takes `work` seconds to make. With `repeats_fail`, one that is sent again with its key is answered by 500;
    a key is known again for `key_kept` seconds. `window` are the seconds of the rate limit. The account's clock is
    `ahead` of ours by so many seconds, and a status shows among the account's own after `lag` seconds.
    """
    state, calls = Account(journal, ahead, key_kept), _Limit(window)

    def api(method: str, path: str, answer: Callable[[Request, bytes], Awaitable[Any]], public: bool = False) -> Route:
        async def handle(request: Request) -> Response:
            headers: dict[str, str] = {}
            body = b""
            try:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise Refusal(413, "Payload too large")
                told = request.headers.get("authorization", "")
                if not public and not hmac.compare_digest(told.encode(), f"Bearer {token}".encode()):
                    raise Refusal(401, "The access token is invalid")
                headers = calls.take()
                content, status = await answer(request, body), 200
                if isinstance(content, list) and content:
                    headers["link"] = _pages(request, [one["id"] for one in content])
            except Refusal as refusal:
                state.refuse(refusal.status, str(refusal), _text_of(body) or f"{method} {path}")
                content, status = refusal.body, refusal.status
                if status == 429:
                    headers = calls.headers(0)
            return JSONResponse(content, status, headers)

        return Route(path, handle, methods=[method])

    async def create(request: Request, body: bytes) -> dict[str, Any]:
        key = request.headers.get("idempotency-key", "")
        if key and (made := state.known(key)):
            if repeats_fail:
                raise Refusal(500, "Internal Server Error")
            return entities.status(_url(request), state, made)
        await asyncio.sleep(work)
        return entities.status(_url(request), state, state.create(_fields(request, body), key))

    async def own_statuses(request: Request, _body: bytes) -> list[dict[str, Any]]:
        if request.path_params["id"] != USER["id"]:
            raise Refusal(404, "Record not found")
        query = request.query_params
        limit = min(_number(query.get("limit"), PAGE) or PAGE, LARGEST_PAGE)
        oldest, newest = _number(query.get("since_id"), 0), _number(query.get("max_id"), 1 << 64)
        minimum = _number(query.get("min_id"), 0)
        visible = state.now() - lag
        found = [
            post for post in state.posts.values() if max(oldest, minimum) < int(post.id) < newest and post.at <= visible
        ]
        chosen = found[:limit] if minimum else found[-limit:]
        return [entities.status(_url(request), state, post) for post in reversed(chosen)]

    async def one(request: Request, _body: bytes) -> dict[str, Any]:
        return entities.status(_url(request), state, state.get(request.path_params["id"]))

    async def source(request: Request, _body: bytes) -> dict[str, Any]:
        post = state.get(request.path_params["id"])
        return {"id": post.id, "text": post.text, "spoiler_text": ""}

    async def several(request: Request, _body: bytes) -> list[dict[str, Any]]:
        known = [state.posts[id] for id in request.query_params.getlist("id[]") if id in state.posts]
        return [entities.status(_url(request), state, post) for post in known]

    async def delete(request: Request, _body: bytes) -> dict[str, Any]:
        gone = state.delete(request.path_params["id"])
        return entities.status(_url(request), state, gone) | {"text": gone.text}

    async def me(request: Request, _body: bytes) -> dict[str, Any]:
        return entities.account(_url(request), state, own=True)

    async def about(request: Request, _body: bytes) -> dict[str, Any]:
        return entities.instance(_url(request))

    async def show(request: Request) -> Response:
        posts = [
            Shown(post.id, post.text, post.at, f"{mastodon_length(post.text)} characters · {post.visibility}")
            for post in state.posts.values()
        ]
        counts = f"Requests: {calls.requests:,}."
        user = (USER["display_name"], USER["username"])
        return HTMLResponse(page("Mastodon", *user, counts, posts, reversed(state.refused)), headers=PAGE_HEADERS)

    async def status_page(request: Request) -> Response:
        return RedirectResponse(f"/#{int(request.path_params['id'])}", 302)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            api("POST", "/api/v1/statuses", create),
            api("GET", "/api/v1/statuses", several),
            api("GET", "/api/v1/statuses/{id}", one),
            api("GET", "/api/v1/statuses/{id}/source", source),
            api("DELETE", "/api/v1/statuses/{id}", delete),
            api("GET", "/api/v1/accounts/verify_credentials", me),
            api("GET", "/api/v1/accounts/{id}/statuses", own_statuses),
            api("GET", "/api/v2/instance", about, public=True),
            Route("/", show),
            Route(f"/@{USER['username']}/{{id:int}}", status_page),
            Route("/health", health),
        ]
    )


def serve(
    host: str, port: int, state: Path, *, odds: Mapping[str, float] | None = None, seed: int = 1, **how: Any
) -> None:
    """Run the simulator until it is stopped; `port` 0 takes a free one. Prints what to set to use it.

    `odds` and `seed` are what Hostile takes, the rest is what `application` takes.
    Raises MynahError where the port or the file `state` is taken.
    """
    with opened(state, wait=False) as journal, listening(host, port) as (listener, url):
        print(f"Mastodon simulator on {url}, kept in {state}; nothing reaches Mastodon. To use it:")
        for name, value in {"MASTODON_SERVER": url, "MASTODON_ACCESS_TOKEN": DEMO_TOKEN}.items():
            print(f"  export {name}={value}")
        print(flush=True)
        run(Hostile(application(journal, **how), odds or {}, seed, API, refusal), listener)


def refusal(status: int) -> Response:
    """What Mastodon, or the proxy before it, answers where it takes nothing now."""
    return JSONResponse({"error": WHY[status]}, status) if status in WHY else HTMLResponse("<h1>504</h1>", status)


class _Limit:
    """So many requests of the account in each window of seconds."""

    def __init__(self, window: float) -> None:
        self.window, self.requests = window, 0
        self._end, self._count = 0.0, 0

    def take(self) -> dict[str, str]:
        """Count a request: Mastodon's headers that say how it stands. Raises Refusal."""
        self.requests += 1
        if self._end <= time.time():
            self._end, self._count = time.time() + self.window, 0
        self._count += 1
        if self._count > LIMIT:
            raise Refusal(429, WHY[429])
        return self.headers(LIMIT - self._count)

    def headers(self, left: int) -> dict[str, str]:
        reset = datetime.fromtimestamp(math.ceil(self._end), UTC).isoformat(timespec="microseconds")
        said = {"limit": str(LIMIT), "remaining": str(left), "reset": reset.replace("+00:00", "Z")}
        return {f"x-ratelimit-{name}": value for name, value in said.items()}


def _fields(request: Request, body: bytes) -> dict[str, Any]:
    """A form's fields, or a JSON object. Raises Refusal."""
    if "json" not in request.headers.get("content-type", ""):
        return dict(parse_qsl(body.decode(errors="replace")))
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Refusal(400, "Error occurred while parsing request parameters")
    return said


def _text_of(body: bytes) -> str:
    """The text that a request wanted to post, else its body, for people to read."""
    text = body.decode(errors="replace")
    return dict(parse_qsl(text)).get("status", text)


def _pages(request: Request, ids: list[str]) -> str:
    """The Link header: where what is older and newer than these is found."""
    here = _url(request) + request.url.path
    return f'<{here}?max_id={ids[-1]}>; rel="next", <{here}?min_id={ids[0]}>; rel="prev"'


def _url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value and value.isdecimal() else otherwise
