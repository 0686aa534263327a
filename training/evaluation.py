"""How well models know the dev texts, in nats per character: their tokenizers may differ, characters do not."""

import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import mynah
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.evaluations import write_evaluation
from training.base_model import load_base
from training.blocks import begin_with_bos, cut, encode
from training.packages import activate
from training.precision import autocast

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from mynah.settings import Settings

TEXTS = 64  # dev texts that are scored, at the most
CHARACTERS = 1000  # of a text that are scored, its first; the same for every model
CONTEXT = 1024  # tokens that a model sees at once, where its config does not say
BATCH_TOKENS = 1024  # computed at once: each takes 0.2 MB of logits in a vocabulary of 50,000


@dataclass(frozen=True)
class Scored:
    """A dev text, or its beginning."""

    text: str
    whole: bool
    """Whether it is the whole text, so that its end is scored too."""


def choose(texts: Sequence[str]) -> list[Scored]:
    """Which texts are scored: at most TEXTS, spread evenly over all, each cut after CHARACTERS."""
    places = np.linspace(0, len(texts) - 1, min(TEXTS, len(texts))).round().astype(int)
    return [Scored(texts[place][:CHARACTERS], len(texts[place]) <= CHARACTERS) for place in places]


def characters_of(texts: Sequence[Scored]) -> int:
    return sum(len(scored.text) for scored in texts)


@torch.no_grad()
def nats(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    texts: Sequence[Scored],
    device: torch.device,
    computing: Callable[[], AbstractContextManager[None]],
) -> float:
    """The cross-entropy of `texts` in nats, summed over all their tokens and the EOS of whole ones, without BOS.

    Each text is scored by itself. `tokenizer` begins with BOS. What is longer than the model's context is scored in
    equal pieces that each follow BOS: no token is left out.
    """
    most = (getattr(model.config, "max_position_embeddings", None) or CONTEXT) - 1
    rows = []
    for scored, (bos, *tokens) in zip(texts, encode(tokenizer, [t.text for t in texts]), strict=True):
        asked = tokens if scored.whole else tokens[:-1]
        rows += [[bos, *piece] for piece in cut(asked, most)]
    rows.sort(key=len, reverse=True)
    total = 0.0
    while rows:
        batch = rows[: max(1, BATCH_TOKENS // len(rows[0]))]
        del rows[: len(batch)]
        longest = len(batch[0])
        # What fills a row up comes last: no token sees it, and it is not asked for (-100).
        tokens_of = torch.tensor([[*row, *[0] * (longest - len(row))] for row in batch], device=device)
        labels = torch.tensor([[*row, *[-100] * (longest - len(row))] for row in batch], device=device)
        with computing():
            logits = model(input_ids=tokens_of, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
        )
        total += loss.item()
    return total


def dev_texts(bucket: Bucket, bot: str, dataset: str) -> list[str]:
    """The dev texts of a dataset. Raises FileNotFoundError where there is no such dataset."""
    return [document.text for document in unpack(bucket.read(bot, "datasets", dataset, "dev.jsonl.zst"))]


@dataclass(frozen=True)
class Evaluated:
    """A model beside the current one. `current` is None where there is no other."""

    bot: str
    model: str
    current: str | None
    dataset: str
    texts: int
    characters: int
    dev_nats_per_character: float
    current_dev_nats_per_character: float | None

    def summary(self) -> str:
        measured = f"{self.model}: {self.dev_nats_per_character:.4f} nats per character"
        on = f"on {self.texts} dev texts of {self.dataset}"
        if self.current_dev_nats_per_character is None:
            why = "it is the current model" if self.current else f"{self.bot} has no current model yet"
            return f"{measured} {on}; {why}: nothing to compare it with"
        return f"{measured}, the current {self.current}: {self.current_dev_nats_per_character:.4f}, {on}"


def evaluate(bot: Bot, settings: "Settings", model: str | None = None) -> Evaluated:
    """Measure `model`, or the bot's newest, and the current model on the dev texts that `model` was trained beside.

    The result is written where promotion reads it (see mynah.evaluations). Raises MynahError where a model or the
    dataset is missing.
    """
    from mynah.database import served

    bucket = settings.bucket
    manifest = bucket.manifest(bot.name, "models", model) if model else next(bucket.manifests(bot.name, "models"), None)
    if manifest is None:
        raise MynahError(
            f"bot {bot.name} has no model {model}: see `mynah status {bot.name}`"
            if model
            else f"bot {bot.name} has no model yet: run `mynah train {bot.name}`"
        )
    id, dataset = manifest["id"], manifest["dataset"]
    with settings.connect() as connection:
        now = served.current(connection, bot.name)
    current = now.model if now else None
    if current and not bucket.manifest(bot.name, "models", current):
        raise MynahError(f"{current}, the current model, is not in {bucket.address(bot.name, 'models')} any more")
    try:
        texts = choose(dev_texts(bucket, bot.name, dataset))
    except FileNotFoundError:
        raise MynahError(f"{id} was trained on dataset {dataset}, which is not there any more") from None
    if not texts:
        raise MynahError(f"dataset {dataset} has no dev texts: raise train.dev_fraction, or add sources")

    activate(bot.train.packages, settings.home / "models")
    characters = characters_of(texts)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def measure(which: str) -> float:
        print(f"measuring {which} on {len(texts)} texts", file=sys.stderr, flush=True)
        loaded, tokenizer = load_base(bucket.address(bot.name, "models", which), settings.home / "models")
        begin_with_bos(tokenizer)
        loaded.eval().to(device)
        return nats(loaded, tokenizer, texts, device, lambda: autocast(bot.train, device)) / characters

    of_model = measure(id)
    of_current = measure(current) if current and current != id else None
    if of_current is not None and current:
        facts = facts_of(dataset, len(texts), characters, of_model, of_current)
        write_evaluation(bucket, bot.name, id, current, facts)
    return Evaluated(bot.name, id, current, dataset, len(texts), characters, of_model, of_current)


def facts_of(dataset: str, texts: int, characters: int, model: float, current: float) -> dict[str, Any]:
    """What an evaluation says beside the two models' ids; the last two in nats per character."""
    return {
        "dataset": dataset,
        "texts": texts,
        "characters": characters,
        "dev_nats_per_character": model,
        "current_dev_nats_per_character": current,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """What measured and made a model."""
    packages = ("torch", "transformers", "ray", "openvino")
    return {"mynah": mynah.__version__, "python": platform.python_version(), **{p: version(p) for p in packages}}
