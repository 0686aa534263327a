"""A request's body: a JSON object, and said to be one."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request

from serving.model.errors import RequestError

FORM = "application/x-www-form-urlencoded"  # what `curl -d` says where it is told nothing else
_KINDS: dict[type, str] = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean"}


async def read_body(request: Request) -> dict[str, Any]:
    """The body of `request`. Raises RequestError."""
    check_content_type(request.headers)
    return read_json(await request.body())


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raises RequestError 415 where the body is said to be something else than JSON.

    One that is not said to be anything is taken for JSON, and so is one that curl sends.
    """
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("", "application/json", FORM) and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RequestError(415, f"content-type: {kind} is not taken here; send application/json", "content-type")


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises RequestError."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
    return as_object(data)


def as_object(data: object) -> dict[str, Any]:
    """`data`, which is an object. Raises RequestError where it is not."""
    if not isinstance(data, dict):
        raise RequestError(400, f"the body is not a JSON object, but {_KINDS.get(type(data), 'null')}")
    return data
