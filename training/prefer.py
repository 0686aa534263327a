"""The prefer stage: what curators decided → the current model, tuned on it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mynah.bot import Bot
from mynah.database.labels import Label, labels
from mynah.errors import MynahError
from mynah.settings import Settings
from training.tuning import Learnt, Tuned, parent_of, tune

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.preferences import Row
    from training.run_record import Record

# Raised when a key or the method changes its meaning or default, so that models are made anew.
VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Taste:
    """What people decided, each text once."""

    approved: list[Label]
    rejected: list[Label]
    edited: list[Label]
    """The curator's text is better than the model's."""

    @classmethod
    def of(cls, found: Sequence[Label]) -> "Taste":
        edited = [label for label in found if label.text != label.written and label.judgement != "rejected"]
        kept = {label.tweet_id for label in edited}
        as_written = [label for label in found if label.tweet_id not in kept]
        return cls(
            approved=[label for label in as_written if label.judgement == "approved"],
            rejected=[label for label in as_written if label.judgement == "rejected"],
            edited=edited,
        )

    def check(self, bot: str, least: int) -> None:
        """Raise MynahError where nothing can be learnt from these."""
        usable = (len(self.approved) + len(self.rejected)) * bool(self.approved and self.rejected) + len(self.edited)
        if usable >= least:
            return
        if usable or not (self.approved or self.rejected):
            raise MynahError(
                f"bot {bot} has {usable} decisions of people about its models' texts, fewer than prefer.min_decisions "
                f"({least}): `mynah curate {bot}`"
            )
        kind, other = ("approved", "rejected") if self.approved else ("rejected", "approved")
        raise MynahError(
            f"bot {bot} has {len(self.approved) + len(self.rejected)} decisions, all of one kind: texts that people "
            f"{kind}, and none {other}; `mynah curate {bot}` until it has both"
        )

    def __str__(self) -> str:
        return f"{len(self.approved)} approved, {len(self.rejected)} rejected, {len(self.edited)} edited"


def prefer(bot: Bot, settings: Settings, again: bool = False) -> Tuned:
    """Tune `bot`'s current model on what its curators decided, and publish the result; the same is not done twice.

    Approved texts against rejected ones: KTO. The model's text against the curator's edit: DPO. Beside them, the loss
    on training texts keeps the voice. Raises MynahError where there is no current model, or there are too few decisions
    or all are of one kind.
    """
    parent = parent_of(bot, settings)
    with settings.connect() as connection:
        found = labels(connection, bot.name)
    taste = Taste.of(found)
    taste.check(bot.name, bot.prefer.min_decisions)
    named = {
        "version": VERSION,
        "prefer": bot.prefer.model_dump(exclude={"max_loss", "min_decisions"}, exclude_defaults=True),
        "decisions": [[label.tweet_id, label.decision_id] for label in found],
    }

    def learn(
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerFast",
        device: "torch.device",
        record: "Record",
    ) -> Learnt:
        return _learn(bot, taste, parent.train, model, tokenizer, device, record)

    return tune(bot, settings, "prefer", parent, named, learn, again)


def _learn(
    bot: Bot,
    taste: Taste,
    texts: list[str],
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    device: "torch.device",
    record: "Record",
) -> Learnt:
    """Tune `model` itself. The reference is what it was: its log-likelihoods are computed before the first step."""
    import numpy as np
    import torch

    from training.precision import autocast
    from training.preferences import dpo, kto, log_likelihoods, row_of, rows_of
    from training.tuning_loop import MOST, Computed, learn_by_steps

    keys, order = bot.prefer, np.random.default_rng(bot.train.seed)

    def nats(rows: "Sequence[Row]") -> "torch.Tensor":
        with autocast(bot.train, device):
            return log_likelihoods(model, rows, device)

    @torch.no_grad()
    def referenced(rows: "list[Row]") -> "list[tuple[Row, float]]":
        """Each with its log-likelihood before the first step."""
        batches = [rows[place : place + keys.batch_size] for place in range(0, len(rows), keys.batch_size)]
        return list(zip(rows, [each for batch in batches for each in nats(batch).tolist()], strict=True))

    def moved(pairs: "Sequence[tuple[Row, float]]", now: "torch.Tensor") -> "torch.Tensor":
        return now - torch.tensor([before for _, before in pairs], device=device)

    def shuffled(items: Sequence[T]) -> Iterator[T]:
        while True:
            yield from (items[place] for place in order.permutation(len(items)))

    model.eval()  # no dropout: the likelihoods before and after are of the same model
    rows = {
        kind: referenced([row_of(tokenizer, label.prompt, label.written, MOST) for label in chosen])
        for kind, chosen in {"approved": taste.approved, "rejected": taste.rejected, "worse": taste.edited}.items()
    }
    rows["better"] = referenced([row_of(tokenizer, label.prompt, label.text, MOST) for label in taste.edited])
    judged = bool(rows["approved"] and rows["rejected"])
    half = keys.batch_size // 2
    commoner = max(len(rows["approved"]), len(rows["rejected"])) if judged else len(taste.edited)
    steps = math.ceil(keys.epochs * commoner / half)
    edits = math.ceil(keys.epochs * len(taste.edited) / steps)  # per step
    approved, rejected = (shuffled(rows[kind]) for kind in ("approved", "rejected"))
    pairs, language = shuffled(list(zip(rows["better"], rows["worse"], strict=True))), shuffled(texts)

    def compute(_: int) -> Computed:
        losses, means = [], {}
        learnt: list[Row] = []
        if judged:
            batch = [next(approved) for _ in range(half)] + [next(rejected) for _ in range(half)]
            learnt += [row for row, _ in batch]
            change = moved(batch, nats([row for row, _ in batch]))
            means = {"approved": change[:half].mean().item(), "rejected": change[half:].mean().item()}
            losses.append(kto(change[:half], change[half:], keys.beta))
        if edits:
            better, worse = zip(*(next(pairs) for _ in range(edits)), strict=True)
            learnt += [row for row, _ in (*better, *worse)]
            change = moved([*better, *worse], nats([row for row, _ in (*better, *worse)]))
            losses.append(dpo(change[:edits], change[edits:], keys.beta))
        loss = torch.cat(losses).mean()
        total, language_loss = loss, math.nan
        if keys.language_weight:
            sample = rows_of(tokenizer, [next(language) for _ in range(half)], MOST)
            per_token = -nats(sample).sum() / sum(len(row.tokens) - 1 for row in sample)
            language_loss = per_token.item()
            learnt += sample
            total = loss + keys.language_weight * per_token
        return Computed(
            loss=total,
            figures={"loss": language_loss, "preference_loss": loss.item(), **means},
            tokens=sum(len(row.tokens) - row.given for row in learnt),
            note=f"loss on decisions {loss.item():.3f}",
        )

    history = learn_by_steps(
        model,
        compute,
        record,
        what=f"learning from {taste}",
        steps=steps,
        learning_rate=keys.learning_rate,
        key="prefer.learning_rate",
        weight_decay=0.0,
    )
    decisions = {kind: len(found) for kind, found in vars(taste).items()}
    return Learnt(model, history, {"decisions": decisions, "said": [f"learnt from what people decided: {taste}"]})
