"""Approving from a phone: what the links in alerts lead to.

GET  /decide/LINK            the text and two buttons. It changes nothing: chats look at links before people do
POST /decide/LINK/approve    decide, and say what came of it
POST /decide/LINK/reject

It works without JavaScript and without cookies. What a link is, mynah.links says.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from mynah import curation
from mynah.bot import Bot
from mynah.database.decisions import decisions
from mynah.database.tweets import Stale, Tweet, get_tweet
from mynah.errors import MynahError
from mynah.links import Expired, Link, NoLink, read
from mynah.tweet import weight
from serving.tweets.desk import Connect
from serving.tweets.page import CSP, environment

WHO = "a link in an alert"  # decides, as the history has it
HEADERS = {
    "content-security-policy": CSP.format("'none'"),
    "referrer-policy": "no-referrer",  # the address is the right to decide
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}


def decide_routes(bots: Mapping[str, Bot], connect: Connect, key: str) -> APIRouter:
    """The routes, for links that are signed with `key`."""
    router = APIRouter(include_in_schema=False)
    template = environment().get_template("decide.html")

    @router.get("/decide/{token}")
    async def look(token: str) -> HTMLResponse:
        return await asyncio.to_thread(shown, token)

    @router.post("/decide/{token}/{verdict}")
    async def decide(token: str, verdict: Literal["approve", "reject"]) -> HTMLResponse:
        return await asyncio.to_thread(decided, token, "approved" if verdict == "approve" else "rejected")

    def opened(token: str) -> tuple[Link, Bot]:
        link = read(key, token, datetime.now(UTC))
        if link.bot not in bots:
            raise NoLink(f"there is no bot {link.bot} here any more")
        return link, bots[link.bot]

    def shown(token: str) -> HTMLResponse:
        try:
            link, bot = opened(token)
        except MynahError as error:
            return refused(error, base="../")
        with connect() as connection:
            tweet = get_tweet(connection, link.bot, link.tweet)
            past = decisions(connection, link.bot, link.tweet)
        if tweet is None:
            return refused(NoLink("the text is gone"), base="../")
        if tweet.revision != link.revision:
            return refused(Stale(tweet, next(reversed(past), None)), tweet, "../")
        return page(200, "../", tweet=tweet, bot=bot, token=token, until=link.until)

    def decided(token: str, state: str) -> HTMLResponse:
        try:
            link, bot = opened(token)
            with connect() as connection, connection.transaction():
                connection.execute("SELECT set_config('mynah.user', %s, true)", [WHO])
                why = curation.NO_REASON if state == "rejected" else None
                curation.decide(bot, connection, [link.tweet], state, why, link.revision)
                tweet = get_tweet(connection, link.bot, link.tweet)
        except Stale as stale:
            return refused(stale, stale.tweet)
        except MynahError as error:
            return refused(error)
        return page(200, "../../", tweet=tweet, says=state.capitalize() + ".")

    def refused(error: MynahError, tweet: Tweet | None = None, base: str = "../../") -> HTMLResponse:
        """404 for what is no link, 410 for an old one, 409 where it is too late or may not be."""
        status = {NoLink: 404, Expired: 410}.get(type(error), 409)
        says = curation.briefly(error)
        return page(status, base, tweet=tweet, says=says[:1].upper() + says[1:] + ".")

    def page(status: int, base: str, **shown: object) -> HTMLResponse:
        return HTMLResponse(template.render(weight=weight, base=base, **shown), status, HEADERS)

    return router
