"""Two runs, or more, side by side: their curves in a picture, their figures in a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import runs
from mynah.database.runs import Run
from mynah.errors import UsageError
from mynah.progress import duration
from mynah.settings import Settings
from training.model_folder import history_of


@dataclass(frozen=True)
class Compared:
    """What differs between runs. `figures` and `keys`: a name, and a value per run, None where it is not known."""

    bot: str
    runs: list[int]
    figures: dict[str, list[Any]]
    keys: dict[str, list[Any]]
    """Keys of the train section that differ, of runs that published a model."""
    plot: str
    """Path of the picture on this machine."""

    def summary(self) -> str:
        rows = [["run", *map(str, self.runs)]]
        rows += [[name, *(_shown(name, value) for value in values)] for name, values in self.figures.items()]
        rows += [[f"train.{key}", *map(str, values)] for key, values in self.keys.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, f"plot: {self.plot}"])


def compare(bot: Bot, settings: Settings, names: Sequence[str]) -> Compared:
    """Compare runs by their numbers or ids; those that have not ended too, as far as they have come.

    Raises UsageError for fewer than two, and MynahError where there is no such run, or one has no step yet.
    """
    with settings.connect() as connection:
        found = [runs.find(connection, bot.name, name) for name in dict.fromkeys(names)]
        points = [runs.points(connection, run) for run in found]
    if len({run.number for run in found}) < 2:
        raise UsageError(f"name two runs to compare: `mynah runs {bot.name}` lists them")
    histories = {}
    for run, sparse in zip(found, points, strict=True):
        name = f"run {run.number}" + ("" if run.state == "done" else f", {run.state}")
        histories[name] = history_of(settings.bucket, bot.name, run.id) or sparse
        if not any("loss" in row for row in histories[name]):
            raise UsageError(f"run {run.number} of {bot.name} ({run.state}) has no step yet: name another")

    # Not with the verbs that only ask Postgres.
    from training.plot import plot_beside

    file = settings.make_home() / "plots" / f"{bot.name}-runs-{'-'.join(str(run.number) for run in found)}.png"
    file.parent.mkdir(exist_ok=True)
    plot_beside(histories, f"{bot.name}: runs {' and '.join(str(run.number) for run in found)}", file)
    return Compared(
        bot=bot.name,
        runs=[run.number for run in found],
        figures=_figures(found),
        keys=_keys(settings.bucket, found),
        plot=str(file),
    )


def _figures(found: list[Run]) -> dict[str, list[Any]]:
    """Of each run, what it ended with, or has come to."""
    now = [{**run.progress, "steps": run.progress.get("step"), **run.metrics} for run in found]
    return {
        "state": [run.state for run in found],
        "from": [run.base for run in found],
        "dataset": [run.dataset for run in found],
        "steps": [facts.get("steps") for facts in now],
        "dev loss, untuned": [facts.get("dev_loss_untuned") for facts in now],
        "dev loss": [facts.get("dev_loss") for facts in now],
        "nats per character": [facts.get("dev_nats_per_character") for facts in now],
        "tokens/s": [facts.get("tokens_per_second") for facts in now],
        "time": [run.seconds for run in found],
        "cost, $": [facts.get("cost_usd") for facts in now],
    }


def _keys(bucket: Bucket, found: list[Run]) -> dict[str, list[Any]]:
    manifests = [bucket.manifest(run.bot, "models", run.id) for run in found]
    if any(manifest is None for manifest in manifests):
        return {}
    parameters = [manifest["parameters"] for manifest in manifests if manifest]
    names = dict.fromkeys(name for each in parameters for name in each)
    values = {name: [each.get(name) for each in parameters] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "time":
        return duration(value)
    if name == "tokens/s":
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
