"""The schedule, the number of steps and what AdamW decays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from mynah.bot import Train
from training.precision import arithmetic, autocast
from training.worker import adamw, count_steps, learning_rate


@given(st.integers(1, 300), st.floats(0, 0.99))
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_zero(steps, warmup):
    train = Train(learning_rate=0.5, warmup_fraction=warmup)
    rates = [learning_rate(step, steps, train) for step in range(steps)]
    peak = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) == pytest.approx(0.5)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    # The rise takes the share of the steps that was asked for, and the fall would reach zero one step on.
    assert peak == pytest.approx(warmup * steps, abs=1)
    if peak < steps - 2:
        assert rates[-2] == pytest.approx(2 * rates[-1])


def test_steps_cover_the_epochs_unless_they_are_given():
    assert count_steps(Train(epochs=1, batch_size=8), rows=80, workers=1) == 10
    assert count_steps(Train(epochs=1.5, batch_size=8), rows=81, workers=2) == 8
    assert count_steps(Train(epochs=0.01, batch_size=8), rows=1, workers=2) == 1
    assert count_steps(Train(max_steps=7), rows=1000, workers=2) == 7


def test_only_matrices_are_decayed(model: LlamaForCausalLM):
    optimizer = adamw(model, Train(weight_decay=0.3, adam_epsilon=1e-6))
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: decayed[id(p)] for name, p in model.named_parameters()}
    assert by_name["model.layers.0.self_attn.q_proj.weight"] == 0.3
    assert by_name["model.norm.weight"] == 0
    assert optimizer.defaults["eps"] == 1e-6


def test_a_cpu_without_bf16_computes_in_fp32(monkeypatch: pytest.MonkeyPatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert arithmetic(Train(precision="bf16"), cpu) == "fp32"
    with autocast(Train(precision="bf16"), cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert arithmetic(Train(precision="bf16"), cpu) == "bf16"
    assert arithmetic(Train(precision="fp32"), cpu) == "fp32"
