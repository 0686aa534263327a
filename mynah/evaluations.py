"""How well a model and the bot's current one know the same dev texts: training writes it, promotion reads it.

A model folder never changes once it is written, and the current model does. So each comparison is an object of its own,
<bot>/evaluations/<model>/<current>.json.
"""

import json
from typing import Any

from mynah.bucket import Bucket, utc_now


def evaluation(bucket: Bucket, bot: str, model: str, current: str) -> dict[str, Any] | None:
    """What was measured of `model` beside `current`; None where the two were not compared.

    Its fields: model, current, dataset (whose dev texts were scored), texts and characters (how many were scored),
    dev_nats_per_character (of `model`), current_dev_nats_per_character, at, versions.
    """
    try:
        found: dict[str, Any] = json.loads(bucket.read(bot, "evaluations", model, f"{current}.json"))
    except FileNotFoundError:
        return None
    return found


def write_evaluation(bucket: Bucket, bot: str, model: str, current: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Keep the `facts` that `evaluation` gives, in place of earlier ones; returns them as written."""
    whole = {"model": model, "current": current, **facts, "at": utc_now()}
    bucket.write(json.dumps(whole, indent=1).encode(), bot, "evaluations", model, f"{current}.json")
    return whole
