"""A stand-in for X: what a bot needs of X API v2, with a page that shows what was posted.

It has one account to post to; whom it shows to readers comes from files (see world.py). It speaks to any client library
of X, such as tweepy: signatures and bearer tokens, rate limits, refusals, the shape of the answers and what they cost
are X's (docs.x.com/x-api). What is posted is kept in a file of JSON lines.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mynah.journal import Journal, opened
from mynah.tweet import weight
from simulators.hostile import Hostile
from simulators.listening import listening, run
from simulators.page import PAGE_HEADERS, Shown, page
from simulators.x import posting, reading
from simulators.x.access import WINDOW, Access, Limits
from simulators.x.account import USER, Account, Refusal
from simulators.x.billing import Bill
from simulators.x.troubles import REFUSALS, Troubles, delivered, spoiled
from simulators.x.world import World

# Anyone may know these: they open nothing but a simulator.
DEMO_KEYS = {
    "X_API_KEY": "mynahDemoApiKey0000000000",
    "X_API_SECRET": "mynahDemoApiSecret00000000000000000000000000000000",
    "X_ACCESS_TOKEN": USER["id"] + "-mynahDemoAccessToken0000000000",
    "X_ACCESS_TOKEN_SECRET": "mynahDemoAccessTokenSecret0000000000000000000",
}
DEMO_BEARER = "AAAAAAAAAAAAAAAAAAAAmynahDemoBearerToken000000000000"
MAX_BODY = 1 << 16  # bytes
API = "/2/"  # what the paths of the API begin with


def application(
    journal: Journal,
    keys: Mapping[str, str] = DEMO_KEYS,
    *,
    bearer: str = DEMO_BEARER,
    world: World | None = None,
    troubles: Troubles | None = None,
    bill: Bill | None = None,
    window: float = WINDOW,
    ahead: float = 0,
    lag: float = 0,
) -> Starlette:
    """The simulator as an ASGI application. `keys` are the only four that it takes, by the names of DEMO_KEYS.

    `bearer` is the token of the app, `world` who is there beside the account, `window` the seconds of a rate limit.
    The account's clock is `ahead` of ours by so many seconds, and a post shows on its timeline after `lag` seconds.
    """
    account, access, limits = Account(journal, ahead), Access(keys, bearer), Limits(window)
    world, troubles, bill = world or World(), troubles or Troubles(), bill or Bill()

    def api(
        endpoint: str, method: str, path: str, answer: Callable[[Request, bytes], dict[str, Any]], reads: str = ""
    ) -> Route:
        """`reads` is what an answer holds, as the bill calls it: where that is somebody else's, an app may ask too."""

        async def handle(request: Request) -> Response:
            headers: dict[str, str] = {}
            body = b""
            trouble = ""
            try:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise Refusal(413, "Payload Too Large", f"The body is longer than {MAX_BODY} bytes.")
                who = access.who(request, body)
                if who == "app" and not reads:
                    raise Refusal(403, "Unsupported Authentication", "An app alone may not do this.")
                within, headers = limits.take(who, endpoint)
                if reads:
                    trouble = troubles.next()
                    bill.requests += 1
                if trouble == "429":
                    headers["x-rate-limit-remaining"] = "0"
                if trouble in REFUSALS:
                    raise Refusal(*REFUSALS[trouble])
                if not within:
                    raise Refusal(*REFUSALS["429"])
                content, status = spoiled(trouble, answer(request, body)), 201 if method == "POST" else 200
                if reads:
                    own = str(request.path_params.get("id")) == USER["id"]
                    bill.charge("own post" if own else reads, [thing["id"] for thing in content.get("data", ())])
            except Refusal as refusal:
                if not trouble:
                    account.refuse(refusal.status, str(refusal), posting.text_of(body) or f"{method} {path}")
                content, status = refusal.body, refusal.status
            if trouble in ("slow", "cut"):
                return delivered(trouble, content, headers)
            return JSONResponse(content, status, headers)

        return Route(path, handle, methods=[method])

    def timeline(request: Request, _body: bytes) -> dict[str, Any]:
        id = str(request.path_params["id"])
        if id == USER["id"]:
            return reading.page_of_posts(posting.own_posts(account, lag), request.query_params)
        return reading.timeline(world, id, request.query_params)

    def followers(request: Request, _body: bytes) -> dict[str, Any]:
        return reading.followers(world, str(request.path_params["id"]), request.query_params)

    async def show(request: Request) -> Response:
        return HTMLResponse(_page(account, bill), headers=PAGE_HEADERS)

    async def charged(request: Request) -> Response:
        return JSONResponse({"requests": bill.requests, "read": dict(bill.read), "dollars": bill.dollars})

    async def status(request: Request) -> Response:
        return RedirectResponse(f"/#{int(request.path_params['id'])}", 302)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            api("create", "POST", "/2/tweets", lambda _, body: posting.create(account, body)),
            api(
                "delete", "DELETE", "/2/tweets/{id:int}", lambda r, _: posting.delete(account, str(r.path_params["id"]))
            ),
            api("me", "GET", "/2/users/me", lambda *_: {"data": USER}),
            api("users", "GET", "/2/users/by", lambda r, _: reading.users_by(world, r.query_params), "user"),
            api("timeline", "GET", "/2/users/{id:int}/tweets", timeline, "post"),
            api("followers", "GET", "/2/users/{id:int}/followers", followers, "user"),
            Route("/", show),
            Route("/bill", charged),
            Route("/i/web/status/{id:int}", status),
            Route("/health", health),
        ]
    )


def serve(
    host: str,
    port: int,
    state: Path,
    keys: Mapping[str, str] = DEMO_KEYS,
    *,
    odds: Mapping[str, float] | None = None,
    seed: int = 1,
    **how: Any,
) -> None:
    """Run the simulator until it is stopped; `port` 0 takes a free one. Prints what to set to use it.

    `odds` and `seed` are what Hostile takes, the rest is what `application` takes.
    Raises MynahError where the port or the file `state` is taken.
    """
    with opened(state, wait=False) as journal, listening(host, port) as (listener, url):
        print(f"X simulator on {url}, kept in {state}; nothing reaches X. To use it:")
        for name, value in {"X_API_URL": url, **keys, "X_BEARER_TOKEN": DEMO_BEARER}.items():
            print(f"  export {name}={value}")
        print(flush=True)
        run(Hostile(application(journal, keys, **how), odds or {}, seed, API, refusal), listener)


def _page(account: Account, bill: Bill) -> str:
    posts = [
        Shown(post.id, post.text, post.at, f"weight {weight(post.text)} · ${post.cost:.3f}")
        for post in account.posts.values()
    ]
    counts = f"X would have charged ${account.spent:.3f}."
    counts += (
        f" Read since it started, in {bill.requests:,} requests: {bill.read['post'] + bill.read['own post']:,} posts"
    )
    counts += f" and {bill.read['user']:,} users, for ${bill.dollars:.3f}."
    return page("X", USER["name"], USER["username"], counts, posts, reversed(account.refused))


def refusal(status: int) -> Response:
    """What X answers where it takes nothing now."""
    return (
        JSONResponse(Refusal(*REFUSALS[str(status)]).body, status) if str(status) in REFUSALS else Response("", status)
    )
