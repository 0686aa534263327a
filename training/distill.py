"""The distill stage: the current model teaches a model of every second of its layers."""

import math
import statistics
import time
from typing import TYPE_CHECKING

from mynah.bot import Bot
from mynah.settings import Settings
from training.tuning import Learnt, Tuned, parent_of, tune

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.run_record import Record

# Raised when a key or the method changes its meaning or default, so that models are made anew.
VERSION = 1
TIMED = 5, 48  # texts, and tokens of each, that are written to see how fast a model is


def distill(bot: Bot, settings: Settings, again: bool = False) -> Tuned:
    """Make a smaller model that says what `bot`'s current one does, and publish it; the same is not done twice.

    It learns, on the training texts, what the larger one finds likely at each token, and the texts themselves (Hinton
    et al. 2015, "Distilling the Knowledge in a Neural Network"). Raises MynahError where there is no current model or
    it has no list of layers.
    """
    parent = parent_of(bot, settings)
    named = {
        "version": VERSION,
        "distill": bot.distill.model_dump(exclude={"max_loss"}, exclude_defaults=True),
    }

    def learn(
        model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", device: "torch.device", record: "Record"
    ) -> Learnt:
        return _learn(bot, parent.train, model, tokenizer, device, record)

    return tune(bot, settings, "distill", parent, named, learn, again)


def _learn(
    bot: Bot,
    texts: list[str],
    teacher: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    device: "torch.device",
    record: "Record",
) -> Learnt:
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    from training.precision import autocast
    from training.preferences import ask, rows_of
    from training.students import count_weights, student_of
    from training.tuning_loop import MOST, Computed, learn_by_steps

    keys = bot.distill
    student = student_of(teacher)
    student.to(device)  # type: ignore[arg-type]
    teacher.eval()
    rows = rows_of(tokenizer, texts, MOST)
    orders = np.random.default_rng(bot.train.seed)
    order = np.concatenate([orders.permutation(len(rows)) for _ in range(math.ceil(keys.epochs) + 1)])

    def compute(step: int) -> Computed:
        batch = [rows[place] for place in order[step * keys.batch_size : (step + 1) * keys.batch_size]]
        with autocast(bot.train, device):
            with torch.no_grad():
                taught = ask(teacher, batch, device).logits
            said = ask(student, batch, device)
        language = cross_entropy(said.logits, said.targets)
        # As gentle as the temperature makes it, so that both parts weigh the same at any.
        apart = keys.temperature**2 * kl_div(
            log_softmax(said.logits / keys.temperature, -1),
            log_softmax(taught / keys.temperature, -1),
            reduction="batchmean",
            log_target=True,
        )
        return Computed(
            loss=keys.language_weight * language + (1 - keys.language_weight) * apart,
            figures={"loss": language.item(), "apart": apart.item()},
            tokens=len(said.targets),
            note=f"loss {language.item():.3f}, {apart.item():.3f} from its teacher",
        )

    student.train()
    history = learn_by_steps(
        student,
        compute,
        record,
        what="learning from the current model",
        steps=math.ceil(keys.epochs * len(rows) / keys.batch_size),
        learning_rate=keys.learning_rate,
        key="distill.learning_rate",
        weight_decay=0.01,
    )
    weights = count_weights(teacher), count_weights(student)
    speeds = _speeds([teacher, student], tokenizer, bot, device)
    layers = teacher.config.num_hidden_layers, student.config.num_hidden_layers
    figures = {
        "weights_before": weights[0],
        "weights": weights[1],
        "writes_per_second_before": round(speeds[0], 1),
        "writes_per_second": round(speeds[1], 1),  # tokens, as _speeds measures
        "said": [
            f"{layers[0]} → {layers[1]} layers, {weights[0] / 1e6:,.1f} → {weights[1] / 1e6:,.1f} million weights",
            f"{speeds[0]:,.1f} → {speeds[1]:,.1f} tokens/s ({speeds[1] / speeds[0]:.2f} times), one text at a time, "
            "by transformers",
        ],
    }
    return Learnt(student, history, figures)


def _speeds(
    models: "list[PreTrainedModel]", tokenizer: "PreTrainedTokenizerFast", bot: Bot, device: "torch.device"
) -> list[float]:
    """Tokens per second of each as it writes texts one by one, in turn: medians."""
    import torch

    from training.precision import autocast

    texts, tokens = TIMED
    seconds: list[list[float]] = [[] for _ in models]
    begin = torch.full((1, 1), tokenizer.bos_token_id, device=device)
    for model in models:
        model.eval()
    for _ in range(texts):
        for model, took in zip(models, seconds, strict=True):
            started = time.monotonic()
            with torch.no_grad(), autocast(bot.train, device):
                model.generate(  # type: ignore[operator]
                    begin,
                    attention_mask=torch.ones_like(begin),
                    min_new_tokens=tokens,
                    max_new_tokens=tokens,
                    do_sample=False,
                    use_cache=True,
                    pad_token_id=tokenizer.pad_token_id,
                )
            took.append(time.monotonic() - started)
    return [tokens / statistics.median(took) for took in seconds]
