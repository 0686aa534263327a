"""What training measured of a model beside the one that speaks: both on the same texts."""

import json
from typing import Any

from mynah.bucket import Bucket


def evaluation(bucket: Bucket, bot: str, model: str, current: str) -> dict[str, Any] | None:
    """The figures of `model` beside those of `current`, or None where nobody has compared these two.

    `dev_nats_per_character` and `current_dev_nats_per_character` are the losses on the dev texts of `model`'s dataset,
    per character because the two may cut texts into different tokens.
    """
    try:
        found: dict[str, Any] = json.loads(bucket.read(bot, "evaluations", model, f"{current}.json"))
    except FileNotFoundError:
        return None
    return found
