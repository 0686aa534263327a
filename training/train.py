"""The train stage: the newest dataset → a fine-tuned, published model."""

import math
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mynah.bot import Bot, Train
from mynah.bucket import Bucket, fingerprint, new_id
from mynah.database import runs, served
from mynah.document import unpack
from mynah.errors import MynahError, UsageError
from mynah.evaluations import write_evaluation
from mynah.progress import duration
from mynah.settings import Settings
from training import kept, model_folder
from training.lease import HeldError, Lease, taken
from training.lora import ADAPTER
from training.model_folder import SAMPLING, plot_of, write_history
from training.phases import Phases, table, timed
from training.run_record import Record, recorded

# Raised when a key or the training changes its meaning or default, so that models are trained anew.
VERSION = 2
# Keys of the train section that change nothing in the model.
NOT_LEARNT = {"price_per_hour", "samples", "sample_every", "keep_models", "keep_checkpoints"}


@dataclass(frozen=True)
class Trained:
    """The model that `train` made or found."""

    id: str
    address: str
    dataset: str
    base: str
    metrics: dict[str, Any]
    plot: str
    """Path of the loss and learning-rate plot on this machine."""
    skipped: bool
    phases: Phases = field(default_factory=dict)
    """Seconds by phase; {} where the model was there already."""

    def summary(self) -> str:
        m = self.metrics
        lines = [f"{self.base} → {self.address}"]
        if m["dev_loss"] is not None:
            lines.append(
                f"dev loss {m['dev_loss_untuned']:.3f} → {m['dev_loss']:.3f} nats per token"
                f" (perplexity {m['dev_perplexity_untuned']:.1f} → {m['dev_perplexity']:.1f})"
            )
        if m.get("dev_nats_per_character") is not None:
            lines.append(
                f"{m['dev_nats_per_character_untuned']:.3f} → {m['dev_nats_per_character']:.3f} nats per character"
                + _beside(m["compared"])
            )
        lines.append(
            f"{m['steps']:,} steps, {m['train_tokens']:,} tokens in {m['seconds']:,.0f} s"
            f" ({m['tokens_per_second']:,.0f} tokens/s)"
        )
        if m.get("peak_memory_bytes"):
            export = m.get("peak_memory_bytes_export")
            lines.append(
                f"{m['peak_memory_bytes'] / 1e9:,.1f} GB of memory at its peak"
                + (f", {export / 1e9:,.1f} GB in the export" if export else "")
            )
        if m.get("worked_seconds"):
            cost = "" if m["cost_usd"] is None else f", ${m['cost_usd']:,.2f}"
            lines.append(f"{duration(m['worked_seconds'])} in all{cost}")
        lines.append(f"plot: {self.plot}")
        if self.phases:
            lines += ["where the time went:", *table(self.phases)]
        return "\n".join(lines)


def _beside(compared: dict[str, Any] | None) -> str:
    if compared is None:
        return ""
    if compared["dev_nats_per_character"] is None:
        return f"; the current model, {compared['model']}, could not be measured: {compared['why']}"
    return f"; the current model, {compared['model']}: {compared['dev_nats_per_character']:.3f}"


def train(bot: Bot, settings: Settings, again: bool = False) -> Trained:
    """Fine-tune `bot`'s base model on its newest dataset and publish it; the same work is not done twice.

    A killed run is gone on with from its last checkpoint. `again` trains anew though the model exists. The new model
    and the current one are measured on the same dev texts. Raises MynahError where there is nothing to learn from,
    the base model cannot be loaded, another trainer is at the same work, or training fails.
    """
    bucket = settings.bucket
    dataset = next(bucket.manifests(bot.name, "datasets"), None)
    if dataset is None:
        raise MynahError(f"bot {bot.name} has no dataset yet: run `mynah dataset {bot.name}`")
    ending = fingerprint(inputs(bot, dataset["id"]))
    _end_finished_runs(bot, settings)
    if not again and (found := finished(bot, bucket, ending)):
        return _trained(found, bot, settings, skipped=True)
    # Of all that this work is: two trainers that begin it at once would each give their run an id of its own.
    with taken(settings, f"{bot.name}/runs/{ending}") as lease:
        if not again and (found := finished(bot, bucket, ending)):  # by another trainer, just now
            return _trained(found, bot, settings, skipped=True)
        return _train(bot, settings, dataset, lease)


def inputs(bot: Bot, dataset: str) -> dict[str, Any]:
    """What a model's id is the fingerprint of.

    Keys at their default are left out, so that a key which is new tomorrow leaves today's models as they are.
    """
    return {
        "version": VERSION,
        "dataset": dataset,
        "train": bot.train.model_dump(exclude=NOT_LEARNT, exclude_defaults=True),
        "generate": bot.generate.model_dump(include=SAMPLING, exclude_defaults=True),
    }


def finished(bot: Bot, bucket: Bucket, ending: str) -> dict[str, Any] | None:
    """The manifest of the newest whole model whose id ends in `ending`."""
    ids = [id for id in bucket.names(bot.name, "models") if id.endswith(ending)]
    return next((found for id in sorted(ids, reverse=True) if (found := bucket.manifest(bot.name, "models", id))), None)


def _end_finished_runs(bot: Bot, settings: Settings) -> None:
    """End the runs whose models are whole: their trainer was killed just before it wrote that, or deleted theirs."""
    bucket = settings.bucket
    for id in bucket.names(bot.name, "runs"):
        if (whole := bucket.manifest(bot.name, "models", id)) and kept.unneeded(bucket, bot.name, whole):
            with suppress(HeldError), taken(settings, f"{bot.name}/runs/{id.rpartition('-')[2]}"):
                with settings.connect() as connection, suppress(UsageError):  # one of an older version has no row
                    runs.end(connection, runs.find(connection, bot.name, id), "done", metrics=whole["metrics"])
                kept.tidy(bucket, bot.name, whole)


def _train(bot: Bot, settings: Settings, dataset: dict[str, Any], lease: Lease) -> Trained:
    named = inputs(bot, dataset["id"])
    ending = fingerprint(named)
    begun = [id for id in settings.bucket.names(bot.name, "runs") if id.endswith(ending)]
    with settings.connect() as connection:
        now = served.current(connection, bot.name)
        if recent := runs.unfinished(connection, bot.name, ending):  # it may have saved nothing yet
            begun.append(recent)
    unfinished = [id for id in begun if not settings.bucket.manifest(bot.name, "models", id)]
    id = max(unfinished, default=None) or new_id(named)
    with recorded(settings, lease, bot.name, id, "train", dataset["id"], bot.train.base) as record:
        return _trained_as(record, bot, settings, dataset, now.model if now else None)


def _trained_as(record: Record, bot: Bot, settings: Settings, dataset: dict[str, Any], current: str | None) -> Trained:
    """Train and publish the model of this run; `current` is the one that it is compared with."""
    bucket, id = settings.bucket, record.run.id
    begin = time.monotonic()
    phases: Phases = {}
    cache = settings.home / "models"
    _say(f"run {record.run.number} of {bot.name}, {id}")
    # Heavy imports, here and below: a model that is there already is found without them.
    from training import packages
    from training.base_model import earlier
    from training.forkserver import forkserver
    from training.memory_used import peak_of_all, peak_of_this

    base = earlier(bot.train.base, bot.name, settings)
    changed = {"base": base, "packages": packages.absolute(bot.train.packages)}
    bot = bot.model_copy(update={"train": bot.train.model_copy(update=changed)})
    with timed(phases, "preparation"):
        packages.activate(bot.train.packages, cache)
    with (
        forkserver(base, cache) as python,
        tempfile.TemporaryDirectory(prefix="model-", dir=settings.make_home()) as path,
    ):
        with timed(phases, "preparation"):
            _check_size(bot, dataset, bucket, cache)
        with timed(phases, "imports"):
            from training import driver, ray_session
        task = driver.Task(bot, dataset["id"], id, current, bucket, cache)
        checkpoint = Path(path, "checkpoint")
        with peak_of_all() as peak:
            outcome = driver.fit(task, checkpoint, python, phases, record.check, record.seen, _import_publish)
        _say("exporting and publishing the model")
        folder = Path(path, "model")
        with timed(phases, "export"):
            from training.base_model import load_base
            from training.publish import write_model

            write_model(*load_base(str(outcome["folder"]), cache), folder, bot.generate)
            if (outcome["folder"] / ADAPTER).is_dir():
                shutil.copytree(outcome["folder"] / ADAPTER, folder / ADAPTER)
            history = outcome["history"]
            write_history(history, id, f"{bot.name} {id}: {bot.train.base}", folder)
        if ray_session.is_local():  # else the workers are elsewhere, and are not seen
            outcome |= {"peak_memory_bytes": peak[0] or None, "peak_memory_bytes_export": peak_of_this() or None}
        metrics = _metrics(outcome, record.seconds, bot.train)
        with timed(phases, "publishing"):
            whole = _publish(bot, settings, dataset, metrics, history, folder, record)
    with timed(phases, "publishing"):
        record.confirm()
        record.done(metrics, history)
        kept.tidy(bucket, bot.name, whole)
    phases = {phase: round(seconds, 1) for phase, seconds in phases.items()}
    phases["rest"] = round(max(0.0, time.monotonic() - begin - sum(phases.values())), 1)
    trained = _trained(whole, bot, settings, skipped=False, phases=phases)
    for line in trained.summary().splitlines():
        record.heard(line)
    return trained


def _import_publish() -> None:
    """While the workers are at their steps: this process has little to do then, and the imports take seconds."""
    from training import plot, publish  # noqa: F401

    publish.import_exporters()


def _publish(
    bot: Bot,
    settings: Settings,
    dataset: dict[str, Any],
    metrics: dict[str, Any],
    history: list[dict[str, Any]],
    folder: Path,
    record: Record,
) -> dict[str, Any]:
    """Publish the model folder; what is known of the current model beside it is an evaluation."""
    from training.evaluation import facts_of

    compared = metrics["compared"]
    if compared and compared["dev_nats_per_character"] is None:
        _say(f"the current model, {compared['model']}, could not be measured beside it: {compared['why']}")
    elif compared:
        facts = facts_of(
            dataset["id"],
            metrics["dev_scored"]["texts"],
            metrics["dev_scored"]["characters"],
            metrics["dev_nats_per_character"],
            compared["dev_nats_per_character"],
        )
        record.confirm()
        write_evaluation(settings.bucket, bot.name, record.run.id, compared["model"], facts)
    parameters = bot.train.model_dump()
    facts = {"base": bot.train.base, "dataset": dataset["id"], "parameters": parameters, "metrics": metrics}
    return model_folder.publish(folder, bot, settings, record, history, facts)


def _check_size(bot: Bot, dataset: dict[str, Any], bucket: Bucket, cache: Path) -> None:
    """Raise MynahError where the training texts fill not even one row, before Ray starts."""
    from training.base_model import check_causal, tokenizer_file
    from training.blocks import check_size, count_tokens

    check_causal(bot.train.base, cache)
    if file := tokenizer_file(bot.train.base, cache):  # else the workers see it
        documents = unpack(bucket.read(bot.name, "datasets", dataset["id"], "train.jsonl.zst"))
        tokens = count_tokens(file, (document.text for document in documents), bot.train.block_size)
        check_size(bot.name, tokens, bot.train.block_size)


def _metrics(outcome: dict[str, Any], seconds: float, train: Train) -> dict[str, Any]:
    """What the manifest says of a run. Losses are in nats; what is measured on dev texts is None where there are none.

    dev_loss is per token, on rows of packed dev texts. dev_nats_per_character is on dev_scored texts, each by itself.
    worked_seconds: what trainers have worked at the run, every try; cost_usd: that, of each worker, at its price.
    """
    history = outcome["history"]
    before, after = history[0], history[-1]
    first, last = before.get("dev_loss"), after.get("dev_loss")
    steps = [row for row in history if "loss" in row]
    last_losses = [row["loss"] for row in steps[-50:]]
    return {
        "dev_loss_untuned": first,
        "dev_loss": last,
        "dev_perplexity_untuned": None if first is None else math.exp(first),
        "dev_perplexity": None if last is None else math.exp(last),
        "dev_nats_per_character_untuned": before.get("dev_nats_per_character"),
        "dev_nats_per_character": after.get("dev_nats_per_character"),
        "dev_scored": outcome["scored"],
        "compared": outcome["compared"],
        "train_loss": sum(last_losses) / len(last_losses),
        "steps": after["step"],
        "train_tokens": after["tokens"],
        "seconds": round(after["seconds"], 1),
        # Of the steps alone, measuring and saving left out; steps learn about as many tokens, so the harmonic mean.
        "tokens_per_second": round(len(steps) / sum(1 / row["tokens_per_second"] for row in steps), 1),
        "precision": outcome["precision"],
        "peak_memory_bytes": outcome.get("peak_memory_bytes"),  # of all processes
        "peak_memory_bytes_export": outcome.get("peak_memory_bytes_export"),
        "worked_seconds": round(seconds, 1),
        "cost_usd": None
        if train.price_per_hour is None
        else round(seconds / 3600 * train.most_workers * train.price_per_hour, 6),
    }


def _trained(
    manifest: dict[str, Any], bot: Bot, settings: Settings, skipped: bool, phases: Phases | None = None
) -> Trained:
    id = manifest["id"]
    return Trained(
        id=id,
        address=settings.bucket.address(bot.name, "models", id),
        dataset=manifest["dataset"],
        base=manifest["base"],
        metrics=manifest["metrics"],
        plot=plot_of(settings, bot.name, id),
        skipped=skipped,
        phases=phases or {},
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
