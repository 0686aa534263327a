"""The training loop: what each Ray Train worker runs."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ray.train.torch
import torch

from mynah.document import unpack
from mynah.errors import MynahError
from training import checkpoint, lora, memory, packages
from training.attention import SHORT, attend_to_short_rows
from training.base_model import load_base
from training.blocks import begin_with_bos, check_size, encode, pack, pack_dev
from training.evaluation import Scored, characters_of, choose, dev_texts, nats
from training.gradients import gradients
from training.loss import dev_loss, is_causal, keeps_borders, sum_over_workers
from training.optimization import adamw, check_loss, count_steps, learning_rate, step_rows
from training.phases import Phases, timed
from training.precision import arithmetic, autocast
from training.progress_board import Job
from training.samples import Sample, write_samples

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHOW_EVERY = 0.5  # seconds between two rows shown to the driver


def work(config: dict[str, Any]) -> dict[str, Any]:
    """Train `config["job"]`, from its last checkpoint on where there is one. The last checkpoint holds the final model.

    Returns:
    history: a row of step 0 with the untuned model's dev_loss and dev_nats_per_character, then one per step with step,
      loss (nats per token, mean of all workers), learning_rate, tokens (so far), seconds (so far), and dev_loss where
      it was measured; the last has dev_nats_per_character too. Without dev texts, neither is measured. Where texts
      were sampled, samples: for each, its prompt and the text, which begins with it.
    compared: the current model and its dev_nats_per_character, with `why` where it could not be measured; or None.
    scored: how many dev texts and characters the nats per character are of; precision: what was computed in.
    phases: the seconds of this call.

    Raises MynahError where the loss is no number, the texts fill no row, or the base model is none to tune.
    """
    job: Job = config["job"]
    train = job.train
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    if job.threads:
        torch.set_num_threads(job.threads)
    phases: Phases = {}
    packages.activate(train.packages, job.cache)

    with timed(phases, "base model, texts"):
        model, tokenizer = load_base(train.base, job.cache)
        begin_with_bos(tokenizer)
        _check_model(model, job)
        together = keeps_borders(model)
        blocks = pack(encode(tokenizer, _train_texts(job)), train.block_size, together)
        if device.type == "cpu" and train.block_size <= SHORT:
            attend_to_short_rows(model)
        if train.gradient_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if train.method == "lora":
            model = lora.with_adapter(model, train)
        texts = dev_texts(job.bucket, job.bot, job.dataset)
        dev = pack_dev(encode(tokenizer, texts), train.block_size, train.eval_blocks, together)
        state = checkpoint.load()
    scored = choose(texts)
    tokens = blocks.count_tokens()
    check_size(job.bot, tokens, train.block_size)
    steps = count_steps(train, len(blocks))

    def outcome() -> dict[str, Any]:
        facts = {"texts": len(scored), "characters": characters_of(scored)}
        computed_in = arithmetic(train, device)
        return {
            "history": history,
            "compared": compared,
            "scored": facts,
            "precision": computed_in,
            "phases": phases,
        }

    step, history, seconds = state.get("step", 0), state.get("history", []), state.get("seconds", 0.0)
    compared = state.get("compared")
    if step == steps:
        return outcome()
    uses_cache = model.config.use_cache
    model.config.use_cache = False
    if "model" in state:
        lora.load_tuned_state(model, state["model"])
    parallel = ray.train.torch.prepare_model(model, parallel_strategy_kwargs={"gradient_as_bucket_view": True})
    with timed(phases, "measuring memory"):
        need = memory.measure(model, model.get_output_embeddings(), blocks[slice(0, 2)], train, device)
        workers_here = context.get_local_world_size() if device.type == "cpu" else 1
        memory.check(need, memory.free_memory(device), workers_here, train)
    optimizer = adamw(model, train)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    del state

    saver = checkpoint.Saver(job, rank, device.type == "cpu")

    def show(**row: Any) -> None:
        if rank == 0:
            job.board.show.remote(**row)

    def measure(per_character: bool) -> dict[str, float]:
        if not len(dev):
            return {}
        model.eval()
        with timed(phases, "measuring"):
            measured = {"dev_loss": dev_loss(model, dev, train, rank, world, device)}
            show(**measured)
            if per_character:
                mine = nats(model, tokenizer, scored[rank::world], device, lambda: autocast(train, device))
                total = sum_over_workers(torch.tensor([mine], dtype=torch.float64, device=device)).item()
                measured["dev_nats_per_character"] = total / characters_of(scored)
        model.train()
        return measured

    def sample() -> dict[str, list[Sample]]:
        """What rank 0 writes now; {} for the others, which wait for it before the next step."""
        if rank or not job.prompts:
            return {}
        model.eval()
        with timed(phases, "samples"), autocast(train, device):
            samples = write_samples(model, tokenizer, job.prompts, job.generate, train.seed)
        model.train()
        return {"samples": samples}

    def tell_samples() -> None:
        show(samples=[{"step": row["step"], "samples": row["samples"]} for row in history if "samples" in row])

    show(steps=steps, step=step, saved=step, tokens=tokens, rows=len(blocks), precision=arithmetic(train, device))
    started = time.monotonic() - seconds
    if step == 0:
        history = [{"step": 0, **measure(per_character=True), **sample()}]
        tell_samples()
    elif losses := [row["dev_loss"] for row in history if "dev_loss" in row]:
        show(dev_loss=losses[-1])
    model.train()
    shown = 0.0
    while step < steps:
        # Dropout depends on the step alone, so that a resumed run goes on as an uninterrupted one would.
        torch.manual_seed(train.seed + step * world + rank)
        rate = learning_rate(step, steps, train)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = step_rows(step, blocks, train)
        tokens = rows.count_tokens()
        before = time.monotonic()
        with timed(phases, "steps"):
            mean = gradients(parallel, model, rows, train, rank, world, device)
            remedy = f"train.learning_rate (now {train.learning_rate:g})"
            remedy += " or set train.precision to fp32" * (train.precision == "bf16")
            check_loss(mean, step, f"training {job.bot}", remedy)
            saver.wait()
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
            row |= measure(per_character=step == steps)
        if step % train.sample_every == 0 or step == steps:
            row |= sample()
        history.append(row)
        if "samples" in row:
            tell_samples()
        if step % train.save_every == 0 and step < steps:
            with timed(phases, "checkpoints"):
                state = {"step": step, "history": history.copy(), "seconds": time.monotonic() - started}
                state["train"] = train.model_dump()
                state |= {"model": lora.tuned_state(model), "optimizer": optimizer.state_dict()}
                saver.save(state)
                del state
    saver.wait()
    del optimizer  # twice the model's size
    if job.current and scored:
        with timed(phases, "measuring"):
            compared = {"model": job.current, **measure_current(job, scored, rank, world, device)}
    with timed(phases, "checkpoints"):
        model.config.use_cache = uses_cache
        state = {"step": step, "history": history, "compared": compared}
        checkpoint.save_finished(job, state, rank, model, tokenizer)
    show(step=steps)
    return outcome()


def measure_current(
    job: Job, scored: list[Scored], rank: int, world: int, device: torch.device
) -> dict[str, float | str | None]:
    """The current model's dev_nats_per_character; None, and why, where it cannot be measured."""
    assert job.current  # noqa: S101 — asked for no other
    mine, why = 0.0, ""
    try:
        model, tokenizer = load_base(job.bucket.address(job.bot, "models", job.current), job.cache)
        begin_with_bos(tokenizer)
        model.eval().to(device)
        mine = nats(model, tokenizer, scored[rank::world], device, lambda: autocast(job.train, device))
    except Exception as error:  # whatever is wrong with that model, this one's training is not to blame
        lines = str(error).splitlines()
        why = lines[0] if isinstance(error, MynahError) else f"{type(error).__name__}: {lines[0] if lines else ''}"
    total, failed = sum_over_workers(
        torch.tensor([mine, float(bool(why))], dtype=torch.float64, device=device)
    ).tolist()
    if failed:
        return {"dev_nats_per_character": None, "why": why or "another worker could not load it"}
    return {"dev_nats_per_character": total / characters_of(scored)}


def _check_model(model: "PreTrainedModel", job: Job) -> None:
    """Raise MynahError where `model` is none to tune, or takes no rows of this size."""
    if not is_causal(model):
        raise MynahError(
            f"base model {job.train.base} ({type(model).__name__}) is not causal: its tokens see what comes after them,"
            " so that it cannot write; name another train.base"
        )
    most = getattr(model.config, "max_position_embeddings", None) or job.train.block_size
    if most < job.train.block_size:
        raise MynahError(
            f"base model {job.train.base} reads at most {most:,} tokens at once: lower train.block_size (now"
            f" {job.train.block_size:,})"
        )


def _train_texts(job: Job) -> Iterator[str]:
    data = job.bucket.read(job.bot, "datasets", job.dataset, "train.jsonl.zst")
    return (document.text for document in unpack(data))
