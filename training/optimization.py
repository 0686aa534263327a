"""How much is learnt at a time: the steps, their rows and parts, the learning rate, AdamW."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from mynah.bot import Train
from mynah.errors import MynahError
from training.blocks import Rows, rows_of_step

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CLIP = 1.0  # the gradient's norm, at the most


def rows_per_step(train: Train) -> int:
    """How many rows all workers together learn from in one step, also where fewer are there than there may be."""
    if train.batch_tokens:
        return max(train.most_workers, round(train.batch_tokens / train.block_size))
    return train.batch_size * train.most_workers


def count_steps(train: Train, rows: int) -> int:
    """Steps in all, for a training set of `rows` rows."""
    return train.max_steps or max(1, math.ceil(train.epochs * rows / rows_per_step(train)))


def step_rows(step: int, blocks: Rows, train: Train) -> Rows:
    """What all workers together learn from in the step `step` (from 0)."""
    return blocks[rows_of_step(step, rows_per_step(train), len(blocks), train.seed)]


def parts(rows: Rows, train: Train, rank: int, workers: int) -> list[Rows]:
    """A worker's share of a step's rows, in parts of at most batch_size rows: the gradients of all of them add up."""
    mine = rows[slice(rank, None, workers)]
    return [mine[places] for places in np.array_split(np.arange(len(mine)), math.ceil(len(mine) / train.batch_size))]


def learning_rate(step: int, steps: int, train: Train) -> float:
    """The learning rate of the step `step` (from 0)."""
    warm = math.ceil(train.warmup_fraction * steps) if train.warmup_steps is None else min(train.warmup_steps, steps)
    return train.learning_rate * rise_and_fall(step, steps, warm)


def rise_and_fall(step: int, steps: int, warm: int) -> float:
    """What share of its peak the learning rate of a step (from 0) is: up to it over `warm` steps, then down to zero."""
    return (step + 1) / warm if step < warm else (steps - step) / (steps - warm)


def check_loss(loss: float, step: int, what: str, remedy: str) -> None:
    """Raise MynahError where the loss of a step (from 0) is no number; `remedy` is what is to be lowered."""
    if not math.isfinite(loss):
        raise MynahError(f"{what} went astray: the loss of step {step + 1} is {loss}; lower {remedy}")


def adamw(model: "PreTrainedModel", train: Train) -> torch.optim.AdamW:
    """AdamW of what is tuned; biases and norms (no matrices) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=train.learning_rate, eps=train.adam_epsilon, fused=True)
