"""The routes of the tweet API.

GET  /tweets?prompt=…&bot=…          a prompt's texts, the best first; 202 while they are written
GET  /tweets/stream?prompt=…&bot=…   the same, as lines of JSON while they are written: how far it is, and the texts
GET  /tweets/ID?bot=…                the same by the answer's id; /tweets/ID/stream too
POST /tweets/ID/stop?bot=…           whoever asked does not want it any more; without another, it is ended
POST /tweets/ID/opinions             like or report one of its texts
POST /v1/models/BOT:predict          the same as GET /tweets, for several prompts at once, as KServe's V1 has it
GET  /prompts?bot=…&prefix=…         known prompts that begin so
GET  /bots                           which bots there are
GET  /health/live, /health/ready     for Kubernetes

and the Play page (serving.tweets.page); with a key, what the links in alerts lead to (serving.tweets.decide).
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from mynah import __version__
from mynah.database import prompts
from mynah.database.prompts import Answer
from mynah.errors import MynahError
from serving.tweets.allowance import Spent, refusal
from serving.tweets.asked import Asked, Sampling, Wrong, check_characters, read, truth
from serving.tweets.decide import decide_routes
from serving.tweets.desk import COME_AGAIN, LOOK, Busy, Connect, Desk, NoModel
from serving.tweets.page import FOLDER, page_routes
from serving.tweets.told import shape

logger = logging.getLogger("serving")

HOLD = 10.0  # seconds that a request is held for it, unless it says otherwise
LONGEST_HOLD = 45.0  # seconds: a server that ends gives what runs 54 (serving.transport), many proxies 60
MOST_INSTANCES = 16  # prompts of one V1 request
SUGGESTIONS = 8
UNBUFFERED = {"cache-control": "no-store", "x-accel-buffering": "no"}  # the second is nginx's


class Opinion(BaseModel):
    """What somebody thinks of a text."""

    model_config = ConfigDict(extra="forbid")

    bot: str
    place: Annotated[int, Field(ge=0, le=1000)]
    """Which text of the answer, counted from 0."""
    opinion: Literal["like", "report"]
    reason: Annotated[str, Field(max_length=500)] = ""


V1_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["instances"],
                "properties": {
                    "instances": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MOST_INSTANCES,
                        "items": {
                            "anyOf": [
                                {"type": "string"},
                                {
                                    "type": "object",
                                    "required": ["prompt"],
                                    "properties": {
                                        "prompt": {"type": "string"},
                                        "majority": {"type": "boolean"},
                                        **Sampling.model_json_schema()["properties"],
                                    },
                                },
                            ]
                        },
                    }
                },
            }
        }
    },
}


def application(desk: Desk, connect: Connect, signing_key: str | None = None) -> FastAPI:
    """The API for the desk's bots; `signing_key` is that of the links in alerts."""
    app = FastAPI(title="mynah tweets", version=__version__, docs_url=None, redoc_url=None)
    there = sorted(desk.bots)
    Whose = Annotated[
        str | None,
        Query(description="Whose voice; needed where there are several bots.", json_schema_extra={"enum": there}),
    ]

    Majority = Annotated[
        str,
        Query(
            description="`true`: only the texts that sound as most of the answer's do.",
            json_schema_extra={"enum": ["true", "false"]},
        ),
    ]

    def known(bot: str) -> str:
        if bot not in desk.bots:
            raise Wrong(404, "bot", f"there is none named {bot[:40]}; there are {', '.join(there)}")
        return bot

    async def held(asked: Asked, seconds: float) -> Answer:
        """The answer, waited for so long."""
        first = await asyncio.to_thread(desk.ask, asked)
        *_, last = [now async for now in growing(desk, asked.bot, first, seconds, asked)]
        return last

    async def found(id: UUID, bot: str | None) -> tuple[str, Answer]:
        """Whose answer it is, and the answer."""
        name = known(only(desk, bot))
        answer = await asyncio.to_thread(desk.look, name, id)
        if answer is None:
            raise Wrong(404, "id", f"{name} has no such answer")
        return name, answer

    @app.get("/tweets")
    async def tweets(
        request: Request,
        prompt: Annotated[str | None, Query(description="At most 100 characters and 20 words.")] = None,
        bot: Whose = None,
        wait: Annotated[float, Query(ge=0, le=LONGEST_HOLD, description="Seconds to hold the request.")] = HOLD,
        num_samples: Annotated[str | None, Query(description="Texts to write: 20, at most 100.")] = None,
        length: Annotated[str | None, Query(description="Tokens of a text, at the most: 60.")] = None,
        temperature: Annotated[str | None, Query(description="0.7; at most 2.")] = None,
        top_p: Annotated[str | None, Query(description="0.9")] = None,
        top_k: Annotated[str | None, Query(description="40; 0 for all tokens.")] = None,
        majority: Majority = "false",
    ) -> JSONResponse:
        given = {name: value for name, value in request.query_params.items() if name not in ("bot", "wait")}
        asked = read(given, known(only(desk, bot)))
        return told(asked.bot, await held(asked, wait), asked.prompt, asked.majority)

    @app.get("/tweets/stream")
    async def stream(
        request: Request,
        prompt: Annotated[str | None, Query()] = None,
        bot: Whose = None,
        num_samples: Annotated[str | None, Query()] = None,
        length: Annotated[str | None, Query()] = None,
        temperature: Annotated[str | None, Query()] = None,
        top_p: Annotated[str | None, Query()] = None,
        top_k: Annotated[str | None, Query()] = None,
        majority: Majority = "false",
    ) -> StreamingResponse:
        given = {name: value for name, value in request.query_params.items() if name != "bot"}
        asked = read(given, known(only(desk, bot)))
        first = await asyncio.to_thread(desk.ask, asked)
        return streamed(desk, asked.bot, first, asked, asked.majority)

    @app.get("/tweets/{id}")
    async def tweets_by_id(id: UUID, bot: Whose = None, majority: Majority = "false") -> JSONResponse:
        return told(*await found(id, bot), None, truth("majority", majority))

    @app.get("/tweets/{id}/stream")
    async def stream_by_id(id: UUID, bot: Whose = None, majority: Majority = "false") -> StreamingResponse:
        return streamed(desk, *await found(id, bot), None, truth("majority", majority))

    @app.post("/tweets/{id}/stop")
    async def stop(id: UUID, bot: Whose = None) -> dict[str, bool]:
        return {"stopped": await asyncio.to_thread(desk.leave, known(only(desk, bot)), id)}

    @app.post("/tweets/{id}/opinions", status_code=201)
    async def opinions(id: UUID, given: Opinion) -> dict[str, str]:
        name = known(given.bot)
        check_characters("reason", given.reason)

        def note() -> bool:
            with connect() as connection:
                return prompts.think(connection, name, id, given.place, given.opinion, given.reason)

        if not await asyncio.to_thread(note):
            raise Wrong(404, "place", f"{name} has no such text")
        return {"noted": given.opinion}

    @app.post("/v1/models/{bot}:predict", openapi_extra={"requestBody": V1_BODY})
    async def predict(
        bot: Annotated[str, PathParameter(json_schema_extra={"enum": there})], request: Request
    ) -> JSONResponse:
        name = known(bot)
        asked = [read(instance, name) for instance in instances(await body(request))]
        answers = await asyncio.gather(*(held(each, HOLD) for each in asked))
        shown = [shape(name, answer, each.prompt, each.majority) for answer, each in zip(answers, asked, strict=True)]
        ready = all(answer.state != "writing" for answer in answers)
        headers = {} if ready else {"retry-after": str(COME_AGAIN)}
        return JSONResponse({"predictions": shown}, 200 if ready else 202, headers)

    @app.get("/prompts")
    async def known_prompts(
        bot: Whose = None, prefix: Annotated[str, Query(max_length=100)] = ""
    ) -> dict[str, list[str]]:
        name = known(only(desk, bot))

        def find() -> list[str]:
            with connect() as connection:
                return prompts.suggest(connection, name, prefix.replace("\0", "").lower(), SUGGESTIONS)

        return {"prompts": await asyncio.to_thread(find)}

    @app.get("/bots")
    async def bots() -> dict[str, Any]:
        return {"bots": there, "defaults": Sampling().model_dump()}

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        def ask() -> None:
            with connect() as connection:
                connection.execute("SELECT 1")

        await asyncio.to_thread(ask)
        return {"status": "ready"}

    app.include_router(page_routes(desk, connect))
    if signing_key:
        app.include_router(decide_routes(desk.bots, connect, signing_key))
    app.mount("/static", StaticFiles(directory=FOLDER), "static")
    for kind in (Wrong, RequestValidationError, HTTPException, MynahError, psycopg.Error):
        app.add_exception_handler(kind, refuse)
    return app


def streamed(desk: Desk, bot: str, answer: Answer, asked: Asked | None, majority: bool) -> StreamingResponse:
    """An answer as lines of JSON."""
    found = lines(desk, bot, answer, asked, majority)
    return StreamingResponse(found, media_type="application/x-ndjson", headers=UNBUFFERED)


async def growing(
    desk: Desk, bot: str, answer: Answer, seconds: float = math.inf, asked: Asked | None = None
) -> AsyncIterator[Answer]:
    """An answer, and what it is at every later look, until it is written or `seconds` have passed.

    Where whoever wrote it has ended, and what was `asked` is known, it is asked again.
    """
    give_up = time.monotonic() + seconds
    yield answer
    while answer.state == "writing" and (rest := give_up - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK, rest))
        looked = await asyncio.to_thread(desk.look, bot, answer.id)
        answer = looked or answer
        if asked and answer.why == prompts.LEFT and not desk.ending:
            answer = await asyncio.to_thread(desk.ask, asked)
        yield answer


async def lines(desk: Desk, bot: str, answer: Answer, asked: Asked | None, majority: bool) -> AsyncIterator[str]:
    """An answer as it grows: a line whenever it has changed, and each second."""
    prompt = asked.prompt if asked else None
    told, at = "", 0.0
    async for now in growing(desk, bot, answer, asked=asked):
        growth = json.dumps([now.state, now.phase, now.before, now.texts])
        if growth != told or time.monotonic() >= at + 1:
            told, at = growth, time.monotonic()
            yield json.dumps(shape(bot, now, prompt, majority), ensure_ascii=False) + "\n"


def only(desk: Desk, bot: str | None) -> str:
    """The bot that is meant. Raises Wrong, 400, where several could be."""
    if bot is None and len(desk.bots) == 1:
        return next(iter(desk.bots))
    if bot is None:
        raise Wrong(400, "bot", f"it is missing; there are {', '.join(sorted(desk.bots))}")
    return bot


async def body(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise Wrong(400, "body", "it is no JSON") from None


def instances(given: Any) -> list[dict[str, Any]]:
    """The instances of a V1 request. Raises Wrong, 400."""
    if not isinstance(given, dict) or not isinstance(given.get("instances"), list):
        raise Wrong(400, "instances", "it is no list")
    found = [{"prompt": one} if isinstance(one, str) else one for one in given["instances"]]
    if not 1 <= len(found) <= MOST_INSTANCES:
        raise Wrong(400, "instances", f"it has {len(found)}, and 1 to {MOST_INSTANCES} are taken")
    for place, one in enumerate(found):
        if not isinstance(one, dict):
            raise Wrong(400, f"instances[{place}]", "it is neither a text nor a map of fields")
    return found


def told(bot: str, answer: Answer, prompt: str | None, majority: bool) -> JSONResponse:
    """200 with the texts, 202 while they are written, 503 where that failed."""
    shown = shape(bot, answer, prompt, majority)
    match answer.state:
        case "written":
            return JSONResponse(shown)
        case "writing":
            # Where to ask again: by its id, which counts as no other visit.
            where = f"/tweets/{answer.id}?bot={bot}" + ("&majority=true" if majority else "")
            return JSONResponse(shown, 202, {"retry-after": str(COME_AGAIN), "location": where})
        case _:
            return JSONResponse({"error": answer.why, **shown}, 503, {"retry-after": str(COME_AGAIN)})


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """What a client reads instead of an answer: {"error": what is wrong, "field": where}."""
    match error:
        case Wrong():
            return JSONResponse({"error": str(error), "field": error.field}, error.status)
        case RequestValidationError():
            first = error.errors()[0]
            field = str(first["loc"][-1]) if first["loc"] else "body"
            return JSONResponse({"error": f"{field}: {first['msg']}", "field": field}, 400)
        case HTTPException():
            return JSONResponse({"error": f"{request.method} {request.url.path}: {error.detail}"}, error.status_code)
        case NoModel():
            return JSONResponse({"error": str(error)}, 503, {"retry-after": "30"})
        case Spent():
            return refusal(error)
        case Busy():
            return JSONResponse({"error": str(error)}, 429, {"retry-after": str(COME_AGAIN)})
        case _:
            logger.warning("%s", error)
            return JSONResponse({"error": "Postgres does not answer: ask again in a moment"}, 503, {"retry-after": "5"})
