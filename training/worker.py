"""The training loop: what each Ray Train worker runs."""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import ray.train.torch
import torch
import torch.distributed as dist
from ray.train import Checkpoint, CheckpointUploadMode
from transformers import PreTrainedModel

from mynah.bot import Train
from mynah.document import unpack
from mynah.errors import MynahError
from training.base import load_base
from training.blocks import PAD, begin_with_bos, encode, pack, pack_dev, rows_of_step
from training.board import Job

CLIP = 1.0  # the gradient's norm, at the most
SHOW_EVERY = 0.5  # seconds between two rows shown to the driver
STATE = "state.pt"


def work(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Train `config["job"]`, from its last checkpoint on where there is one.

    Returns the history: a row of step 0 with the untuned model's dev_loss, then one a step with step, loss
    (nats a token, mean of all workers), learning_rate, tokens (so far), seconds (so far), and dev_loss where it
    was measured. The last checkpoint holds the final model. Raises MynahError where the loss is no number.
    """
    job: Job = config["job"]
    train = job.train
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    if job.threads:
        torch.set_num_threads(job.threads)

    model, tokenizer = load_base(train.base, job.cache)
    begin_with_bos(tokenizer)
    blocks = pack(encode(tokenizer, _texts(job, "train")), train.block_size)
    dev = pack_dev(encode(tokenizer, _texts(job, "dev")), train.block_size, train.eval_blocks)
    batch = train.batch_size * world
    steps = count_steps(train, len(blocks), world)

    state = _load_checkpoint()
    step, history, seconds = state.get("step", 0), state.get("history", []), state.get("seconds", 0.0)
    if step == steps:
        return history
    model.config.use_cache = False
    if "model" in state:
        model.load_state_dict(state["model"])
    parallel = ray.train.torch.prepare_model(model, parallel_strategy_kwargs={"gradient_as_bucket_view": True})
    optimizer = adamw(model, train)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    del state

    def show(**row: Any) -> None:
        if rank == 0:
            job.board.show.remote(**row)

    def measure() -> dict[str, float]:
        if not len(dev):
            return {}
        model.eval()
        loss = dev_loss(model, dev, train, rank, world, device)
        model.train()
        show(dev_loss=loss)
        return {"dev_loss": loss}

    show(steps=steps, step=step, saved=step, tokens=int((blocks != PAD).sum()), rows=len(blocks), device=device.type)
    started = time.monotonic() - seconds
    if step == 0:
        history = [{"step": 0, **measure()}]
    elif measured := [row["dev_loss"] for row in history if "dev_loss" in row]:
        show(dev_loss=measured[-1])
    model.train()
    shown = 0.0
    while step < steps:
        # Dropout depends on the step alone, so that a resumed run goes on as an uninterrupted one would.
        torch.manual_seed(train.seed + step * world + rank)
        rate = learning_rate(step, steps, train)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = blocks[rows_of_step(step, batch, len(blocks), train.seed)]
        tokens = int((rows != PAD).sum())
        before = time.monotonic()
        with autocast(train, device):
            loss = _loss(parallel, rows[rank::world], device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        mean = _sum_over_workers(loss.detach()).item() / world
        if not math.isfinite(mean):
            raise MynahError(
                f"training {job.bot} went astray: the loss of step {step + 1} is {mean}; lower train.learning_rate"
                f" (now {train.learning_rate:g})" + (" or set train.precision to fp32" * (train.precision == "bf16"))
            )
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        now = time.monotonic()
        row = {
            "step": step,
            "loss": mean,
            "learning_rate": rate,
            "tokens": history[-1].get("tokens", 0) + tokens,
            "seconds": now - started,
            "tokens_per_second": tokens / (now - before),
        }
        if now - shown > SHOW_EVERY:
            shown = now
            show(**row)
        if step % train.eval_every == 0 or step == steps:
            row |= measure()
        history.append(row)
        if step % train.save_every == 0 or step == steps:
            state = {"step": step, "history": history, "seconds": time.monotonic() - started}
            state["model"] = model.state_dict()
            if step < steps:
                state["optimizer"] = optimizer.state_dict()
            _save_checkpoint(job, state, rank)
            show(saved=step)
    show(step=steps)
    return history


def count_steps(train: Train, rows: int, workers: int) -> int:
    """Steps in all, for a training set of `rows` rows."""
    return train.max_steps or max(1, math.ceil(train.epochs * rows / (train.batch_size * workers)))


def learning_rate(step: int, steps: int, train: Train) -> float:
    """The learning rate of the step `step` (from 0): a linear rise to the peak, then linearly to zero."""
    warm = math.ceil(train.warmup_fraction * steps)
    share = (step + 1) / warm if step < warm else (steps - step) / (steps - warm)
    return train.learning_rate * share


def adamw(model: PreTrainedModel, train: Train) -> torch.optim.AdamW:
    """AdamW; biases and norms (no matrices) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=train.learning_rate, eps=train.adam_epsilon, fused=True)


def autocast(train: Train, device: torch.device) -> AbstractContextManager[None]:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


@torch.no_grad()
def dev_loss(
    model: PreTrainedModel, dev: np.ndarray, train: Train, rank: int, world: int, device: torch.device
) -> float:
    """Mean cross-entropy of a token of `dev`, in nats; each worker measures its share of the rows."""
    total = torch.zeros(2, dtype=torch.float64, device=device)  # nats, tokens
    mine = dev[rank::world]
    for first in range(0, len(mine), train.batch_size):
        rows = mine[first : first + train.batch_size]
        with autocast(train, device):
            loss = _loss(model, rows, device)
        tokens = int((rows[:, 1:] != PAD).sum())
        total += torch.tensor([loss.item() * tokens, tokens], dtype=torch.float64, device=device)
    nats, tokens = _sum_over_workers(total).tolist()
    return nats / tokens


def _loss(model: torch.nn.Module, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Mean cross-entropy of the next token over `rows`, [rows, block_size]."""
    tokens = torch.from_numpy(rows.astype(np.int64)).to(device)
    # What fills a row up comes last, so that no token sees it, and is not asked for (-100).
    return model(input_ids=tokens.clamp(min=0), labels=tokens.masked_fill(tokens == PAD, -100)).loss


def _sum_over_workers(value: torch.Tensor) -> torch.Tensor:
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(value)
    return value


def _texts(job: Job, split: str) -> Iterator[str]:
    data = job.bucket.read(job.bot, "datasets", job.dataset, f"{split}.jsonl.zst")
    return (document.text for document in unpack(data))


def _save_checkpoint(job: Job, state: dict[str, Any], rank: int) -> None:
    """Write the checkpoint straight into the bucket, then report it: Ray's record knows only whole ones."""
    name = f"checkpoint_{state['step']:08d}"
    checkpoint = None
    if rank == 0:
        path = job.bucket.path(job.bot, "runs", job.run, name)
        job.bucket.filesystem.create_dir(path)
        with job.bucket.filesystem.open_output_stream(f"{path}/{STATE}") as stream:
            torch.save(state, stream)
        checkpoint = Checkpoint(path, job.bucket.filesystem)
    ray.train.report(
        {"step": state["step"]},
        checkpoint=checkpoint,
        checkpoint_dir_name=name,
        checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
    )


def _load_checkpoint() -> dict[str, Any]:
    checkpoint = ray.train.get_checkpoint()
    return read_checkpoint(checkpoint) if checkpoint else {}


def read_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state that a checkpoint holds: step, history, seconds, model, and optimizer unless it is the last."""
    # Not checkpoint.as_directory(): its lock lies in a folder of /tmp that belongs to whoever used Ray there first.
    with checkpoint.filesystem.open_input_file(f"{checkpoint.path}/{STATE}") as stream:
        return torch.load(stream, map_location="cpu", weights_only=True)
