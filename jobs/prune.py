"""Delete the models, datasets and checkpoints that nothing needs any more, and say of each why it goes or stays.

A folder's manifest is deleted first: without it the folder does not exist (mynah.bucket), so that nothing half is ever
seen. What a killed prune left is deleted by the next one.
"""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mynah.bot import Bot
from mynah.bucket import Bucket, time_of
from mynah.database import leases, runs, served
from mynah.database.connection import Connection
from mynah.database.runs import Run
from mynah.database.tweets import models_named
from mynah.errors import MynahError
from mynah.model_name import run_of

FRESH = 24 * 3600.0  # seconds in which a folder without a manifest may still be written, by who writes no run
LEASE = 120.0  # seconds that a run is kept from trainers while its checkpoints are deleted
ALL = 1_000_000  # runs


@dataclass(frozen=True)
class Fate:
    """What becomes of a folder of the bucket, and why."""

    kind: str
    """model, dataset, checkpoints, or leftover: a folder that a killed process left."""
    folder: tuple[str, ...]
    """Below the bot's."""
    bytes: int
    goes: bool
    why: str


@dataclass(frozen=True)
class Pruned:
    """What went, or with `dry_run` would go, and what stays."""

    bot: str
    dry_run: bool
    bytes: int
    fates: list[Fate]

    def summary(self) -> str:
        going = [fate for fate in self.fates if fate.goes]
        will = "would delete" if self.dry_run else "deleted"
        folders = f"{len(going):,} folder{'s' * (len(going) > 1)}"
        lines = [f"{will} {folders}, {self.bytes / 1e6:,.1f} MB" if going else "nothing to delete"]
        for fate in sorted(self.fates, key=lambda fate: not fate.goes):
            size = f"{fate.bytes / 1e6:,.1f} MB"
            what = "goes" if fate.goes else "stays"
            lines.append(f"  {what:<5}  {fate.kind:<11}  {fate.folder[-1]}  {size:>12}  {fate.why}")
        return "\n".join(lines)


def prune(bot: Bot, bucket: Bucket, connection: Connection, dry_run: bool) -> Pruned:
    """Delete what `bot` needs no more; with `dry_run`, only say what that is.

    Raises MynahError where the bot's model is being changed, and where a trainer has just taken a run up.
    """
    with served.change_lock(connection, bot.name) as alone:
        if not alone:
            raise MynahError(f"a promotion or rollback of {bot.name} is at work, or another prune: wait for it")
        fates = list(_fates(bot, bucket, connection))
        going = [fate for fate in fates if fate.goes]
        if not dry_run:
            for fate in going:
                _delete(bot.name, bucket, connection, fate)
    return Pruned(bot.name, dry_run, sum(fate.bytes for fate in going), fates)


def _fates(bot: Bot, bucket: Bucket, connection: Connection) -> Iterator[Fate]:
    name = bot.name
    found = {run.id: run for run in runs.list_runs(connection, name, ALL)}
    numbers = {id: run.number for id, run in found.items()}
    working = [run for run in found.values() if run.state == "running"]
    models = list(bucket.manifests(name, "models"))
    reasons = _reasons(bot, connection, models, working, numbers)
    kept = [manifest for manifest in models if manifest["id"] in reasons]
    for manifest in models:
        id = manifest["id"]
        why = "; ".join(reasons.get(id, [f"not one of the {bot.train.keep_models} newest, and nothing names it"]))
        yield Fate("model", ("models", id), _size(manifest), id not in reasons, why)

    datasets = list(bucket.manifests(name, "datasets"))
    learnt = {manifest["dataset"]: f"model {manifest['id']} learnt from it" for manifest in kept}
    learnt |= {run.dataset: f"run {run.number} learns from it" for run in working}
    learnt |= {manifest["id"]: "the newest" for manifest in datasets[:1]}
    for manifest in datasets:
        id = manifest["id"]
        yield Fate(
            "dataset", ("datasets", id), _size(manifest), id not in learnt, learnt.get(id, "no model learnt from it")
        )

    whole = {manifest["id"]: manifest for manifest in models}
    newest = datasets[0]["id"] if datasets else None
    for id in bucket.names(name, "runs"):
        if parent := next((run for run in working if _starts_from(run, id, numbers.get(id))), None):
            goes, why = False, f"run {parent.number} starts from it"
        elif id in whole:
            goes, why = _beside_model(whole[id], id in reasons)
        else:
            goes, why = _unfinished(found.get(id), newest)
        yield Fate("checkpoints", ("runs", id), bucket.size(name, "runs", id), goes, why)

    for kind, manifests in (("models", models), ("datasets", datasets)):
        for id in set(bucket.names(name, kind)) - {manifest["id"] for manifest in manifests}:
            run, made = found.get(id), time_of(id)
            fresh = made is None or time.time() - made < FRESH
            goes = run.state != "running" if run else not fresh
            why = "a killed process left it" if goes else "it is being written"
            yield Fate("leftover", (kind, id), bucket.size(name, kind, id), goes, why)


def _reasons(
    bot: Bot, connection: Connection, models: list[dict[str, Any]], working: list[Run], numbers: dict[str, int]
) -> dict[str, list[str]]:
    """Why each model stays; those that may go are not in it."""
    reasons: dict[str, list[str]] = {}

    def keep(id: str | None, why: str) -> None:
        if id is not None:
            reasons.setdefault(id, []).append(why)

    for ask, why in (
        (served.current, "the current one"),
        (served.pending, "about to be the current one"),
        (served.previous, "the one before"),
    ):
        if row := ask(connection, bot.name):
            keep(row.model, why)
    keep(bot.serve.model, "serve.model names it")
    keep(bot.serve.first_model, "serve.first_model names it")
    measured = {
        manifest["id"]: nats
        for manifest in models
        if (nats := manifest.get("metrics", {}).get("dev_nats_per_character")) is not None
    }
    if measured:
        best = min(measured, key=lambda id: measured[id])
        keep(best, f"the best: {measured[best]:.3f} nats per character")
    for manifest in models[: bot.train.keep_models]:
        keep(manifest["id"], f"one of the {bot.train.keep_models} newest")
    for id, number in models_named(connection, bot.name).items():
        what = "it" if run_of(id) == id else f"its checkpoint {id.removeprefix(run_of(id))}"
        keep(run_of(id), f"{what} wrote {number:,} of the texts that are known")
    for run in working:
        for manifest in models:
            if _starts_from(run, manifest["id"], numbers.get(manifest["id"])):
                keep(manifest["id"], f"run {run.number} starts from it")
    return reasons


def _starts_from(run: Run, id: str, number: int | None) -> bool:
    """Whether a run's base is the model, or a checkpoint, of the run that has this id and number."""
    return id in run.base or (number is not None and run_of(run.base) == f"run:{number}")


def _beside_model(manifest: dict[str, Any], stays: bool) -> tuple[bool, str]:
    """Whether the checkpoints go of the run that made this model, and why."""
    if not stays:
        return True, "its model goes"
    if kept := manifest.get("parameters", {}).get("keep_checkpoints", 0):
        return False, f"its model stays, with {kept} checkpoint{'s' * (kept > 1)} (train.keep_checkpoints)"
    return True, "its model is there"


def _unfinished(run: Run | None, newest: str | None) -> tuple[bool, str]:
    """Whether the checkpoints go of a run that has no model, and why."""
    if run is None:
        return False, "nobody knows its dataset: a training may go on from it"
    if run.state == "running":
        return False, f"run {run.number} is at work"
    if run.state == "done":
        return True, "its model is gone"
    if run.kind == "train" and run.dataset != newest:
        return (
            True,
            f"run {run.number} learnt from a dataset that is not the newest any more: no training goes on from it",
        )
    return False, f"run {run.number} is {run.state}: the next training may go on from it"


def _delete(bot: str, bucket: Bucket, connection: Connection, fate: Fate) -> None:
    kind, id = fate.folder
    if fate.kind == "checkpoints":
        name, holder = f"{bot}/runs/{id.rpartition('-')[2]}", f"{socket.gethostname()}:{os.getpid()} prune"
        if not leases.take(connection, name, holder, LEASE):
            raise MynahError(f"a training has just taken run {id} of {bot} up: run this again")
        try:
            bucket.delete(bot, kind, id)
        finally:
            leases.release(connection, name, holder)
        return
    bucket.unpublish(bot, kind, id)
    if kind == "models":
        bucket.delete(bot, "evaluations", id)


def _size(manifest: dict[str, Any]) -> int:
    return sum(int(facts["bytes"]) for facts in manifest["files"].values())
