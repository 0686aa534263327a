"""From the bot's current model to another one, in one process: what `mynah prefer` and `mynah distill` share."""

import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.bot import Bot
from mynah.bucket import fingerprint, new_id
from mynah.database import runs, served
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.evaluations import write_evaluation
from mynah.settings import Settings
from training import model_folder
from training.lease import taken
from training.model_folder import plot_of, write_history
from training.run_record import Record, recorded
from training.train import finished

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.evaluation import Scored
# What was measured of the base model, which the parent was trained from.
UNTUNED = ("dev_loss_untuned", "dev_perplexity_untuned", "dev_nats_per_character_untuned")


@dataclass(frozen=True)
class Parent:
    """The current model, which another one is made from, and the texts that it was trained beside."""

    id: str
    address: str
    manifest: dict[str, Any]
    train: list[str]
    dev: list[str]

    @property
    def dataset(self) -> str:
        return str(self.manifest["dataset"])


@dataclass(frozen=True)
class Learnt:
    """What a method made of a model: the model, its history by step, and figures of its own for the manifest."""

    model: "PreTrainedModel"
    history: list[dict[str, Any]]
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Tuned:
    """The model that was made or found."""

    id: str
    address: str
    method: str
    parent: str
    metrics: dict[str, Any]
    plot: str
    """Path of the plot on this machine."""
    skipped: bool

    def summary(self) -> str:
        m = self.metrics
        lines = [f"{self.parent} → {self.address}", *m["said"]]
        if m["dev_loss"] is not None:
            lines.append(
                f"dev loss {m['dev_loss_before']:.3f} → {m['dev_loss']:.3f} nats per token (perplexity "
                f"{math.exp(m['dev_loss_before']):.1f} → {m['dev_perplexity']:.1f})"
            )
        lines += [f"{m['steps']:,} steps in {m['seconds']:,.0f} s", f"plot: {self.plot}"]
        lines.append(f"`mynah promote {Path(self.address).parent.parent.name} {self.id}` judges it and lets it speak")
        return "\n".join(lines)


Learn = Callable[["PreTrainedModel", "PreTrainedTokenizerFast", "torch.device", Record], Learnt]
"""Makes a model of the current one. It calls its last argument's `check` and `seen` at every step."""


def parent_of(bot: Bot, settings: Settings) -> Parent:
    """The bot's current model. Raises MynahError where there is none, or its folder or its dataset is gone."""
    bucket = settings.bucket
    with settings.connect() as connection:
        now = served.current(connection, bot.name)
    if now is None:
        raise MynahError(f"bot {bot.name} has no current model to start from: `mynah promote {bot.name}` makes one")
    manifest = bucket.manifest(bot.name, "models", now.model)
    if manifest is None:
        raise MynahError(f"{now.model}, the current model, is not in {bucket.address(bot.name, 'models')} any more")
    texts = {}
    for split in ("train", "dev"):
        try:
            data = bucket.read(bot.name, "datasets", manifest["dataset"], f"{split}.jsonl.zst")
        except FileNotFoundError:
            raise MynahError(
                f"{now.model} was trained on dataset {manifest['dataset']}, which is not there any more: put it back, "
                f"or train anew with `mynah train {bot.name}`"
            ) from None
        texts[split] = [document.text for document in unpack(data)]
    address = bucket.address(bot.name, "models", now.model)
    return Parent(now.model, address, manifest, texts["train"], texts["dev"])


def tune(
    bot: Bot, settings: Settings, method: runs.Kind, parent: Parent, named: dict[str, Any], learn: Learn, again: bool
) -> Tuned:
    """Make a model by `learn`, measure it beside its parent, and publish it; the same work is not done twice.

    `named` is what its id is the fingerprint of, beside the method and the parent. Raises MynahError where another
    trainer is at the same work, or `learn` fails. A run that is killed leaves nothing and begins anew.
    """
    bucket = settings.bucket
    named = {"method": method, "parent": parent.id, "seed": bot.train.seed, **named}
    ending = fingerprint(named)
    if not again and (found := finished(bot, bucket, ending)):
        return _tuned(found, bot, settings, skipped=True)
    with taken(settings, f"{bot.name}/runs/{ending}") as lease:
        if not again and (found := finished(bot, bucket, ending)):  # by another trainer, just now
            return _tuned(found, bot, settings, skipped=True)
        with settings.connect() as connection:
            id = runs.unfinished(connection, bot.name, ending) or new_id(named)
        with recorded(settings, lease, bot.name, id, method, parent.dataset, parent.id) as record:
            tuned = _tuned(_tune(bot, settings, method, parent, learn, record), bot, settings, skipped=False)
            record.done(tuned.metrics)
            for line in tuned.summary().splitlines():
                record.heard(line)
            return tuned


def _tune(
    bot: Bot, settings: Settings, method: runs.Kind, parent: Parent, learn: Learn, record: Record
) -> dict[str, Any]:
    """The manifest of the model that is published."""
    import torch

    from training.base_model import load_base
    from training.blocks import begin_with_bos
    from training.evaluation import characters_of, choose, facts_of
    from training.packages import activate
    from training.precision import arithmetic
    from training.publish import import_exporters, write_model

    id = record.run.id
    _say(f"run {record.run.number} of {bot.name}, {id}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(bot.train.seed)
    activate(bot.train.packages, settings.home / "models")
    model, tokenizer = load_base(parent.address, settings.home / "models")
    begin_with_bos(tokenizer)
    model.to(device)  # type: ignore[arg-type]
    scored = choose(parent.dev)
    _say(f"measuring {parent.id} on {len(scored)} dev texts")
    before = measure(model, tokenizer, scored, bot, device)
    learnt = learn(model, tokenizer, device, record)
    del model
    _say("measuring the new model")
    after = measure(learnt.model, tokenizer, scored, bot, device)
    history = learnt.history
    if after:
        history = [{"step": 0, "dev_loss": before["dev_loss"]}, *history]
        history[-1]["dev_loss"] = after["dev_loss"]
    old = parent.manifest["metrics"]
    seconds = history[-1]["seconds"]
    metrics = {
        **{key: old.get(key) for key in UNTUNED},
        "dev_loss_before": before.get("dev_loss"),
        "dev_loss": after.get("dev_loss"),
        "dev_perplexity": math.exp(after["dev_loss"]) if after else None,
        "dev_nats_per_character": after.get("dev_nats_per_character"),
        "dev_scored": {"texts": len(scored), "characters": characters_of(scored)},
        "steps": history[-1]["step"],
        "train_tokens": history[-1]["tokens"],
        "seconds": round(seconds, 1),
        "tokens_per_second": round(history[-1]["tokens"] / seconds, 1),
        "precision": arithmetic(bot.train, device),
        **learnt.metrics,
    }
    _say("exporting and publishing the model")
    with tempfile.TemporaryDirectory(prefix="model-", dir=settings.make_home()) as path:
        folder = Path(path, "model")
        import_exporters()
        write_model(learnt.model, tokenizer, folder, bot.generate)
        write_history(history, id, f"{bot.name} {id}: {method} of {parent.id}", folder)
        if after:
            nats = (after["dev_nats_per_character"], before["dev_nats_per_character"])
            record.confirm()
            facts = facts_of(parent.dataset, len(scored), characters_of(scored), *nats)
            write_evaluation(settings.bucket, bot.name, id, parent.id, facts)
        facts = {
            "base": parent.manifest["base"],
            "method": method,
            "parent": parent.id,
            "dataset": parent.dataset,
            "parameters": {**parent.manifest["parameters"], **getattr(bot, method).model_dump()},
            "metrics": metrics,
        }
        return model_folder.publish(folder, bot, settings, record, history, facts)


def measure(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    scored: "list[Scored]",
    bot: Bot,
    device: "torch.device",
) -> dict[str, float]:
    """dev_loss, in nats per token, and dev_nats_per_character of dev texts, each by itself; {} where there are none."""
    from training.blocks import encode
    from training.evaluation import characters_of, nats
    from training.precision import autocast

    if not scored:
        return {}
    model.eval()
    total = nats(model, tokenizer, scored, device, lambda: autocast(bot.train, device))
    lengths = [len(tokens) for tokens in encode(tokenizer, [each.text for each in scored])]
    asked = sum(length - 2 + each.whole for length, each in zip(lengths, scored, strict=True))
    return {"dev_loss": total / asked, "dev_nats_per_character": total / characters_of(scored)}


def _tuned(manifest: dict[str, Any], bot: Bot, settings: Settings, skipped: bool) -> Tuned:
    id = manifest["id"]
    return Tuned(
        id=id,
        address=settings.bucket.address(bot.name, "models", id),
        method=manifest["method"],
        parent=manifest["parent"],
        metrics=manifest["metrics"],
        plot=plot_of(settings, bot.name, id),
        skipped=skipped,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
