"""The train stage: the newest dataset → a fine-tuned, published model."""

import json
import math
import platform
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mynah
from mynah.bot import Bot
from mynah.bucket import Bucket, fingerprint, new_id
from mynah.document import unpack
from mynah.errors import MynahError

PLOT = "training.png"
HISTORY = "history.jsonl"
# Of the generate section, what the published model folder holds as its defaults.
SAMPLING = {"max_tokens", "temperature", "top_p", "top_k", "repetition_penalty"}


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

    def summary(self) -> str:
        m = self.metrics
        lines = [f"{self.base} → {self.address}"]
        if m["dev_loss"] is not None:
            lines.append(
                f"dev loss {m['dev_loss_untuned']:.3f} → {m['dev_loss']:.3f} nats a token"
                f" (perplexity {m['dev_perplexity_untuned']:.1f} → {m['dev_perplexity']:.1f})"
            )
        lines.append(
            f"{m['steps']:,} steps, {m['train_tokens']:,} tokens in {m['seconds']:,.0f} s"
            f" ({m['tokens_per_second']:,.0f} tokens/s)"
        )
        return "\n".join([*lines, f"plot: {self.plot}"])


def train(bot: Bot, bucket: Bucket, home: Path, again: bool = False) -> Trained:
    """Fine-tune `bot`'s base model on its newest dataset and publish it; the same work is not done twice.

    A killed run is gone on with from its last checkpoint. `again` trains anew though the model exists.
    `home` keeps the base model's copy and the plots. Raises MynahError where there is nothing to learn from, the
    base model cannot be loaded, or training fails.
    """
    dataset = next(bucket.manifests(bot.name, "datasets"), None)
    if dataset is None:
        raise MynahError(f"bot {bot.name} has no dataset yet: run `mynah dataset {bot.name}`")
    generate = bot.generate.model_dump(include=SAMPLING)
    inputs = {"dataset": dataset["id"], "train": bot.train.model_dump(), "generate": generate}
    ending = fingerprint(inputs)
    ids = [id for id in bucket.names(bot.name, "models") if id.endswith(ending)]
    models = {id: manifest for id in ids if (manifest := bucket.manifest(bot.name, "models", id))}
    if models and not again:
        return _trained(models[max(models)], bot, bucket, home, skipped=True)
    runs = [id for id in bucket.names(bot.name, "runs") if id.endswith(ending) and id not in models]
    id = max(runs, default=None) or new_id(inputs)

    # Heavy imports: a model that is there already is found without them.
    from training.base import load_base
    from training.fit import fit
    from training.plot import plot
    from training.publish import write_model

    cache = home / "models"
    model, tokenizer = load_base(bot.train.base, cache)
    _check_size(bot, dataset, bucket, tokenizer)
    history, state = fit(bot, dataset["id"], id, bucket, cache)
    model.load_state_dict(state)
    print("exporting and publishing the model", file=sys.stderr, flush=True)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="model-", dir=home) as path:
        folder = Path(path)
        write_model(model, tokenizer, folder, bot.generate)
        (folder / HISTORY).write_text("".join(json.dumps(row) + "\n" for row in history), encoding="utf-8")
        plot(history, f"{bot.name} {id}: {bot.train.base}", folder / PLOT)
        manifest = {
            "base": bot.train.base,
            "dataset": dataset["id"],
            "parameters": bot.train.model_dump(),
            "generate": generate,
            "metrics": _metrics(history),
            "versions": _versions(),
        }
        whole = bucket.publish(folder, manifest, bot.name, "models", id)
    bucket.delete(bot.name, "runs", id)
    return _trained(whole, bot, bucket, home, skipped=False)


def _check_size(bot: Bot, dataset: dict[str, Any], bucket: Bucket, tokenizer: Any) -> None:
    """Raise MynahError where the training texts fill not even one row."""
    from training.blocks import begin_with_bos, encode

    begin_with_bos(tokenizer)
    documents = unpack(bucket.read(bot.name, "datasets", dataset["id"], "train.jsonl.zst"))
    tokens = 0
    for document in encode(tokenizer, (document.text for document in documents)):
        tokens += len(document)
        if tokens >= bot.train.block_size:
            return
    raise MynahError(
        f"bot {bot.name} has {tokens} tokens to learn from, fewer than one row (train.block_size:"
        f" {bot.train.block_size}): add texts or lower train.block_size"
    )


def _metrics(history: list[dict[str, Any]]) -> dict[str, Any]:
    """What the manifest says of a run. Losses are nats a token; the dev losses are None without dev texts."""
    first, last = history[0].get("dev_loss"), history[-1].get("dev_loss")
    steps = [row for row in history if "loss" in row]
    last_losses = [row["loss"] for row in steps[-50:]]
    return {
        "dev_loss_untuned": first,
        "dev_loss": last,
        "dev_perplexity_untuned": None if first is None else math.exp(first),
        "dev_perplexity": None if last is None else math.exp(last),
        "train_loss": sum(last_losses) / len(last_losses),
        "steps": history[-1]["step"],
        "train_tokens": history[-1]["tokens"],
        "seconds": round(history[-1]["seconds"], 1),
        # Of the steps alone, measuring and saving left out; steps learn about as many tokens, so the harmonic mean.
        "tokens_per_second": round(len(steps) / sum(1 / row["tokens_per_second"] for row in steps), 1),
    }


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "ray", "openvino")
    return {"mynah": mynah.__version__, "python": platform.python_version(), **{p: version(p) for p in packages}}


def _trained(manifest: dict[str, Any], bot: Bot, bucket: Bucket, home: Path, skipped: bool) -> Trained:
    id = manifest["id"]
    plot = home / "plots" / f"{bot.name}-{id}.png"
    if not plot.exists():
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(bucket.read(bot.name, "models", id, PLOT))
    return Trained(
        id=id,
        address=bucket.address(bot.name, "models", id),
        dataset=manifest["dataset"],
        base=manifest["base"],
        metrics=manifest["metrics"],
        plot=str(plot),
        skipped=skipped,
    )
