"""What lies in a model's folder beside the model: its history, drawn too, its card and its manifest."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.bot import Bot
from mynah.bucket import Bucket, utc_now
from mynah.settings import Settings

if TYPE_CHECKING:
    from training.run_record import Record

PLOT = "training.png"
HISTORY = "history.jsonl"
# Of the generate section, what the folder holds as its defaults.
SAMPLING = {"max_tokens", "temperature", "top_p", "top_k", "repetition_penalty"}


def write_history(history: list[dict[str, Any]], run: str, title: str, folder: Path) -> None:
    """Write the `history` (see `training.worker.work`) of the run `run` to `folder`: every step, its curves, a plot."""
    from training.events import write_events
    from training.plot import plot

    (folder / HISTORY).write_text("".join(json.dumps(row) + "\n" for row in history), encoding="utf-8")
    write_events(history, run, folder)
    plot(history, title, folder / PLOT)


def publish(
    folder: Path, bot: Bot, settings: Settings, record: "Record", history: list[dict[str, Any]], facts: dict[str, Any]
) -> dict[str, Any]:
    """Publish the model folder of a run of `bot` with its card, its manifest last, and return that.

    `facts`: what the manifest says of this model alone: base, dataset, parameters, metrics.
    """
    from training import card
    from training.evaluation import versions

    id = record.run.id
    manifest = {
        "id": id,
        "bot": bot.name,
        "created": utc_now(),
        **facts,
        "generate": bot.generate.model_dump(include=SAMPLING) | {"temperature": bot.generate.middle_temperature},
        "versions": versions(),
    }
    (folder / card.FILE).write_text(card.card_of(manifest, bot, settings, history), encoding="utf-8")
    return settings.bucket.publish(folder, manifest, bot.name, "models", id, check=record.confirm)


def history_of(bucket: Bucket, bot: str, model: str) -> list[dict[str, Any]]:
    """Every step that made a model (see `training.worker.work`); [] where it is not there."""
    try:
        lines = bucket.read(bot, "models", model, HISTORY).splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def plot_of(settings: Settings, bot: str, model: str) -> str:
    """The path of a model's plot on this machine, where it is copied to once."""
    plot = settings.home / "plots" / f"{bot}-{model}.png"
    if not plot.exists():
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(settings.bucket.read(bot, "models", model, PLOT))
    return str(plot)
