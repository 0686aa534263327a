"""Write down which model serves where that was not asked for here: before 0.3.0, in the values, by kubectl."""

import json
from typing import Any

from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection

BEFORE = "served before 0.3.0"


def adopt(bucket: Bucket, connection: Connection, bot: str, model: str, why: str | None = None) -> None:
    """Make `model` the bot's current one in Postgres, where no change may be pending.

    The first time, what 0.2.0 kept in the bucket comes along: the model before it, and those that were refused.
    """
    with connection.transaction():
        first = not served.history(connection, bot, 1)
        if first:
            kept = _kept_by_0_2_0(bucket, bot)
            for refused in kept.get("refused", ()):
                served.refuse(connection, bot, refused, "refused before 0.3.0")
            if (previous := kept.get("previous")) and previous != model:
                _record(connection, bot, previous, BEFORE)
        _record(connection, bot, model, why or (BEFORE if first else "found serving: not changed by `mynah promote`"))


def _record(connection: Connection, bot: str, model: str, why: str) -> None:
    served.carry_out(connection, served.ask(connection, bot, model, why).id)


def _kept_by_0_2_0(bucket: Bucket, bot: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(bucket.read(bot, "promotion.json"))
    except FileNotFoundError:
        return {}
    return found
