"""The loop of `mynah prefer` and `mynah distill`, in this process: the schedule, AdamW's steps, the history."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mynah.progress import progress
from training.optimization import CLIP, check_loss, rise_and_fall

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from training.run_record import Record

WARM = 0.1  # share of the steps over which the learning rate rises
MOST = 512  # tokens of a text that are learnt from


@dataclass(frozen=True)
class Computed:
    """What a method computed of the texts of a step."""

    loss: torch.Tensor
    """What is to become less."""
    figures: dict[str, float]
    """Of the history's row, what the method measured; `loss`: nats per token of training texts."""
    tokens: int
    """That were learnt from."""
    note: str
    """What is said beside the progress."""


def learn_by_steps(
    model: "PreTrainedModel",
    compute: Callable[[int], Computed],
    record: "Record",
    *,
    what: str,
    steps: int,
    learning_rate: float,
    key: str,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Tune `model` by the loss that `compute` gives for each step (from 0); returns the history, a row per step.

    `what` is what people are told of it, `key` names the learning rate in the bot file. Raises MynahError where a loss
    is no number, and what `record` raises.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
    history: list[dict[str, Any]] = []
    begin, tokens, warm = time.monotonic(), 0, math.ceil(WARM * steps)
    with progress(what, steps) as advance:
        for step in range(steps):
            record.check()
            rate = learning_rate * rise_and_fall(step, steps, warm)
            for group in optimizer.param_groups:
                group["lr"] = rate
            computed = compute(step)
            computed.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            check_loss(computed.loss.item(), step, what, f"{key} (now {learning_rate:g})")
            optimizer.step()
            optimizer.zero_grad()
            tokens += computed.tokens
            row = {
                "step": step + 1,
                **computed.figures,
                "tokens": tokens,
                "learning_rate": rate,
                "seconds": time.monotonic() - begin,
            }
            history.append(row)
            record.seen({**row, "steps": steps})
            advance(step + 1, computed.note)
    return history
