"""The Play page: a prompt, and the bots' texts side by side.

It works without JavaScript, and keeps its state in its URL.

GET /play?bot=…&bot=…&prompt=…    the page, with the texts that there are by then; majority=true leaves out the others
GET /embed/BOT?prompt=…           the same for one bot, for a blog's iframe
GET /static/…                     its style, its scripts and its icon
"""

import asyncio
import contextlib
import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader
from starlette.datastructures import QueryParams

from mynah.database import prompts
from mynah.errors import MynahError
from mynah.text import fold_spaces
from serving.tweets.asked import Asked, Sampling, Wrong, read
from serving.tweets.desk import Connect, Desk
from serving.tweets.told import shape

logger = logging.getLogger("serving")

FOLDER = Path(__file__).with_name("page")
EXAMPLES, POPULAR = 6, 8
# Nothing but what this server gives, no script in the page, and nobody but a blog's iframe round it.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors {}"
)
# Each with its label, a hint, the least, the most, and a step.
KNOBS = {
    "num_samples": ("Texts", "how many are written", 1, 100, 1),
    "length": ("Length", "tokens, at the most", 1, 280, 1),
    "temperature": ("Temperature", "higher is wilder", 0, 2, 0.05),
    "top_p": ("Top p", "the likeliest, up to this share", 0.05, 1, 0.05),
    "top_k": ("Top k", "of so many; 0: of all", 0, 1000, 1),
}
SENTIMENTS = {"positive": "+", "neutral": "=", "negative": "−"}
AWAY = "the database does not answer: ask again in a moment"


@dataclass(frozen=True)
class View:
    """What a page shows."""

    chosen: list[str]
    given: dict[str, str]
    columns: list[dict[str, Any]]
    error: str = ""


@functools.cache
def environment() -> Environment:
    """The templates in FOLDER, set up once.

    `version` stands in the addresses of what they load: a browser takes no old ones.
    """
    templates = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    content = b"".join(file.read_bytes() for file in sorted(FOLDER.iterdir()))
    templates.globals["version"] = hashlib.sha256(content).hexdigest()[:8]
    return templates


def page_routes(desk: Desk, connect: Connect) -> APIRouter:
    """The page's routes, for the desk's bots."""
    router = APIRouter(include_in_schema=False)
    templates = environment()
    there = sorted(desk.bots)

    @router.get("/")
    async def root() -> RedirectResponse:
        return RedirectResponse("play")

    @router.get("/play")
    async def play(request: Request) -> HTMLResponse:
        wanted = list(dict.fromkeys(request.query_params.getlist("bot")))
        strange = [bot for bot in wanted if bot not in desk.bots]
        view = await look(wanted or there, request.query_params) if not strange else View(there, {}, [], no(strange[0]))
        return await shown(view, "play", "", False)

    @router.get("/embed/{bot}")
    async def embed(bot: str, request: Request) -> HTMLResponse:
        if bot not in desk.bots:
            raise Wrong(404, "bot", no(bot))
        return await shown(await look([bot], request.query_params), bot, "../", True)

    def no(bot: str) -> str:
        return f"there is no bot named {bot[:40]}; there are {', '.join(there)}"

    async def look(chosen: list[str], query: QueryParams) -> View:
        """What the chosen bots say to the query, as far as it is known."""
        kept = ("prompt", "majority", *KNOBS)
        given = {name: value for name, value in query.items() if name in kept and value != ""}
        if not given.get("prompt", "").strip():
            return View(chosen, given, [])
        try:
            asked = [read(given, bot) for bot in chosen]
        except Wrong as error:
            return View(chosen, given, [], str(error))
        begun = answers(query.getlist("answer"))
        columns = await asyncio.gather(*(asyncio.to_thread(column, one, begun.get(one.bot)) for one in asked))
        return View(chosen, given, list(columns))

    def column(asked: Asked, begun: UUID | None) -> dict[str, Any]:
        """A bot's answer; the one that had begun when the page was loaded before, which is no other visit."""
        try:
            answer = desk.look(asked.bot, begun) if begun else None
            return shape(asked.bot, answer or desk.ask(asked), asked.prompt, asked.majority)
        except MynahError as error:
            why = str(error)
        except psycopg.Error as error:
            logger.warning("%s: %s", asked.bot, error)
            why = AWAY
        return {"bot": asked.bot, "id": "", "state": "failed", "says": why, "texts": []}

    def popular(chosen: Sequence[str]) -> list[str]:
        try:
            with connect() as connection:
                found = [prompts.suggest(connection, bot, "", POPULAR) for bot in chosen]
        except psycopg.Error as error:
            logger.warning("%s", error)
            return []
        return list(dict.fromkeys(text for each in found for text in each))

    async def shown(view: View, action: str, base: str, embedded: bool) -> HTMLResponse:
        prompt = view.given.get("prompt", "")
        given = [desk.bots[bot].generate.listed() for bot in view.chosen]
        own = [text.strip() for each in given for text in each if text.strip()]
        examples = list(dict.fromkeys(own))[:EXAMPLES]
        known = {fold_spaces(text).lower() for text in examples}
        often = [] if prompt else await asyncio.to_thread(popular, view.chosen)

        fields = knobs(view.given)
        turned = {str(knob["name"]): knob["value"] for knob in fields if str(knob["value"]) != str(knob["default"])}
        if view.given.get("majority", "false").lower() != "false":
            turned["majority"] = view.given["majority"].lower()

        def link(text: str, path: str = action) -> str:
            chosen = [("bot", bot) for bot in view.chosen] if path == "play" else []
            return f"{path}?{urlencode([('prompt', text), *chosen, *turned.items()])}"

        begun = [("answer", f"{column['bot']}:{column['id']}") for column in view.columns if column["id"]]
        html = templates.get_template("play.html").render(
            prompt=prompt,
            chosen=view.chosen,
            bots=[] if embedded else there,
            columns=view.columns,
            error=view.error,
            knobs=fields,
            turned=turned,
            signs=SENTIMENTS,
            examples=examples,
            popular=[text for text in often if text not in known][:POPULAR],
            who=listed(view.chosen),
            majority=turned.get("majority") == "true",
            link=link,
            again=f"{link(prompt)}&{urlencode(begun)}",
            action=action,
            base=base,
            embedded=embedded,
        )
        headers = {
            "content-security-policy": CSP.format("*" if embedded else "'none'"),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return HTMLResponse(html, 400 if view.error else 200, headers)

    return router


def answers(given: Sequence[str]) -> dict[str, UUID]:
    """The bots' answers that a page waits for, each as BOT:ID; what is none is passed over."""
    found = {}
    for bot, _, id in (each.partition(":") for each in given):
        with contextlib.suppress(ValueError):
            found[bot] = UUID(id)
    return found


def listed(names: Sequence[str]) -> str:
    """As one says it: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def knobs(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The fields of a request beside the prompt, as the form shows them."""
    return [
        {
            "name": name,
            "label": label,
            "hint": hint,
            "default": (default := getattr(Sampling(), name)),
            "value": given.get(name, default),
            "min": low,
            "max": high,
            "step": step,
        }
        for name, (label, hint, low, high, step) in KNOBS.items()
    ]
