"""What a training will take of the memory, measured before it takes it, and what there is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from mynah.bot import Train
from mynah.errors import MynahError
from training.blocks import Rows
from training.loss import nats_of
from training.precision import arithmetic, autocast

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STATE, GRADIENT = 8, 4  # bytes of AdamW's, and of the gradient's, per parameter that is tuned
BUFFERS = 300 << 20  # bytes: what torch took beside, in all that was measured (200 to 310 MB)
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Need:
    """What one worker takes beside the model's weights, in bytes."""

    state: int
    """AdamW's."""
    gradients: int
    fixed: int
    """Kept of the way forth whatever the batch: the weights in bf16."""
    row: int
    """Kept of the way forth, for each row that is computed at once."""

    def total(self, rows: int) -> int:
        """At the most: what the way forth has kept is given back as the gradients come."""
        return self.state + max(self.gradients, self.fixed + rows * self.row) + BUFFERS


def measure(model: "PreTrainedModel", head: torch.nn.Module, rows: Rows, train: Train, device: torch.device) -> Need:
    """What training `model` will take: one row, then two, are computed forth, and what torch keeps is counted."""
    one, two = (_kept(model, head, rows[slice(0, count)], train, device) for count in (1, 2))
    tuned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if len(rows) < 2:
        return Need(STATE * tuned, GRADIENT * tuned, 0, one)
    return Need(STATE * tuned, GRADIENT * tuned, max(0, 2 * one - two), two - one)


def _kept(model: "PreTrainedModel", head: torch.nn.Module, rows: Rows, train: Train, device: torch.device) -> int:
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}
    alive = []  # else an address would be used again

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    unchanged: Callable[[Any], Any] = lambda tensor: tensor  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(note, unchanged), autocast(train, device):
        nats_of(model, head, rows, device)
    # The way back begins with the logits' gradient, as large as they are.
    vocabulary = int(head.weight.shape[0])  # type: ignore[index]
    logits = int(rows.asked().sum()) * vocabulary * (2 if arithmetic(train, device) == "bf16" else 4)
    return sum(kept.values()) + logits


def check(need: Need, free: int, workers: int, train: Train) -> None:
    """Raise MynahError, and say which key helps, where `workers` that share `free` bytes need more."""
    share = free // workers
    if need.total(train.batch_size) <= share:
        return
    fitting = (share - BUFFERS - need.state - need.fixed) // need.row
    if need.total(1) > share:
        knobs = [
            *(["set train.method to lora"] if train.method == "full" else []),
            *(["set train.workers to 1"] if workers > 1 else []),
            "name a smaller train.base",
        ]
    else:
        knobs = [f"lower train.batch_size to {fitting} (now {train.batch_size})"]
        if not train.gradient_checkpointing:
            knobs.append("set train.gradient_checkpointing to true")
    raise MynahError(
        f"training needs about {need.total(train.batch_size) * workers / 1e9:.1f} GB of memory beside the model, and"
        f" {free / 1e9:.1f} GB are free: {', or '.join(knobs)}"
    )


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the GPU; on a CPU, in the machine or in this container, whichever has less."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    own = Path("/proc/self/cgroup").read_text(encoding="ascii") if Path("/proc/self/cgroup").exists() else ""
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            for folder in {CGROUP / controllers / path.lstrip("/"), CGROUP / controllers}:
                free = min(free, _free_in(folder))
    return free


def _free_in(folder: Path) -> int:
    """What the control group `folder` may still take; pages of files do not count, as they are given back."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        if (folder / limit).is_file() and (most := (folder / limit).read_text().strip()) != "max":
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            files = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
            return int(most) - int((folder / used).read_text()) + files
    return 1 << 62
