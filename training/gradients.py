"""What a step learns: the gradients of its rows, over all of their parts and workers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch

from mynah.bot import Train
from training.blocks import Rows
from training.loss import nats_of, sum_over_workers
from training.optimization import CLIP, parts
from training.precision import autocast

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def gradients(
    parallel: torch.nn.Module,
    model: "PreTrainedModel",
    rows: Rows,
    train: Train,
    rank: int,
    world: int,
    device: torch.device,
) -> float:
    """Give `model` the clipped gradients of the mean loss of `rows`; returns that loss, in nats per token.

    `parallel` is the model, or what exchanges its gradients between the workers. Each computes its share of `rows`.
    """
    asked, total = int(rows.asked().sum()), torch.zeros((), device=device)
    head = model.get_output_embeddings()
    # Only with the last part do the workers exchange their gradients.
    alone: Callable[[], AbstractContextManager[None]] = getattr(parallel, "no_sync", nullcontext)
    mine = parts(rows, train, rank, world)
    for number, part in enumerate(mine, 1):
        with alone() if number < len(mine) else nullcontext():
            with autocast(train, device):
                nats = nats_of(parallel, head, part, device)
            # The workers' gradients are averaged: with this weight, they are those of the mean over the step's tokens.
            (nats * (world / asked)).backward()
        total += nats.detach()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    return sum_over_workers(total).item() / asked
