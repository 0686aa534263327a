"""The loss of packed rows, each text of a row by itself; and whether a model keeps to the borders."""

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from mynah.bot import Train
from training.blocks import Rows
from training.cross_entropy import cross_entropy
from training.precision import autocast

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CLOSE = 1e-3  # of how far logits spread; in fp32, the same sums in another order differ by a hundredth of it


def nats_of(model: torch.nn.Module, head: torch.nn.Module, rows: Rows, device: torch.device) -> torch.Tensor:
    """The cross-entropy of the tokens that `rows` ask for, summed, in nats.

    Positions that begin anew at 0 are all that a model of transformers needs to be told: where it is given no mask and
    keeps no cache, it masks by them what lies before (transformers.masking_utils.find_packed_sequence_indices).
    `head`, the last layer of `model`, computes logits only where the next token is asked for.
    """
    asked = rows.asked()
    where = torch.from_numpy(asked.reshape(-1).nonzero()[0]).to(device)
    tokens = torch.from_numpy(rows.tokens.clip(0)).long().to(device)  # what fills a row up comes last: nobody sees it
    positions = torch.from_numpy(rows.positions).long().to(device)

    def only_asked(_: torch.nn.Module, hidden: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (hidden[0].flatten(0, 1)[where][None],)

    hook = head.register_forward_pre_hook(only_asked)
    try:
        logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits[0]
    finally:
        hook.remove()
    return cross_entropy(logits, tokens.flatten()[where + 1])


@torch.no_grad()
def dev_loss(model: "PreTrainedModel", dev: Rows, train: Train, rank: int, world: int, device: torch.device) -> float:
    """Mean cross-entropy of `dev` in nats per token; each worker measures its share of the rows."""
    total = torch.zeros((), dtype=torch.float64, device=device)
    mine = dev[slice(rank, None, world)]
    for first in range(0, len(mine), train.batch_size):
        with autocast(train, device):
            total += nats_of(model, model.get_output_embeddings(), mine[slice(first, first + train.batch_size)], device)
    return float(sum_over_workers(total)) / int(dev.asked().sum())


@torch.no_grad()
def is_causal(model: "PreTrainedModel") -> bool:
    """Whether no token sees those that come after it."""
    one, other = (model(input_ids=torch.tensor([[1, 2, last]]), use_cache=False).logits[0, :2] for last in (3, 4))
    return _equal(one, other)


@torch.no_grad()
def keeps_borders(model: "PreTrainedModel") -> bool:
    """Whether a text in a row is read as it is alone. Some models count positions in their own way, or have none."""
    alone = model(input_ids=torch.tensor([[4, 5, 6]]), use_cache=False).logits[0]
    row, positions = torch.tensor([[1, 2, 3, 4, 5, 6]]), torch.tensor([[0, 1, 2, 0, 1, 2]])
    packed = model(input_ids=row, position_ids=positions, use_cache=False).logits[0, 3:]
    return _equal(alone, packed)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() < _CLOSE * one.std())


def sum_over_workers(value: torch.Tensor) -> torch.Tensor:
    """The sum of what each worker has; `value` itself becomes it."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(value)
    return value
