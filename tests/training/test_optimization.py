"""The schedule, a step's rows and their parts, and what AdamW decays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from mynah.bot import Train
from training.blocks import Rows
from training.optimization import adamw, count_steps, learning_rate, parts, step_rows


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
    assert count_steps(Train(epochs=1, batch_size=8), rows=80) == 10
    assert count_steps(Train(epochs=1.5, batch_size=8, workers=2), rows=81) == 8
    assert count_steps(Train(epochs=0.01, batch_size=8, workers=2), rows=1) == 1
    assert count_steps(Train(max_steps=7, workers=2), rows=1000) == 7
    assert count_steps(Train(epochs=1, batch_size=2, block_size=32, batch_tokens=320, workers=3), rows=80) == 8


def test_a_warm_up_in_steps_comes_before_one_by_share():
    train = Train(learning_rate=1.0, warmup_fraction=0.5, warmup_steps=3)
    rates = [learning_rate(step, 8, train) for step in range(8)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert learning_rate(1, 2, Train(learning_rate=1.0, warmup_steps=500)) == 1.0  # shorter than the warm-up
    assert learning_rate(0, 2, Train(learning_rate=1.0, warmup_steps=0)) == 1.0


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2000), st.integers(0, 20))
def test_workers_and_parts_share_a_steps_rows(workers, batch_size, batch_tokens, step):
    train = Train(block_size=64, batch_size=batch_size, batch_tokens=batch_tokens, workers=[1, 4])
    blocks = Rows(np.arange(50)[:, None].repeat(64, axis=1), np.arange(50)[:, None].repeat(64, axis=1))
    rows = step_rows(step, blocks, train)
    assert len(rows) == max(4, round(batch_tokens / 64))  # as with four workers, however many there are
    seen = []
    for rank in range(workers):
        mine = parts(rows, train, rank, workers)
        assert mine  # each worker has something to exchange
        assert all(1 <= len(part) <= batch_size for part in mine)
        seen += [row for part in mine for row in part.tokens[:, 0].tolist()]
    assert sorted(seen) == sorted(rows.tokens[:, 0].tolist())


def test_only_matrices_are_decayed(model: LlamaForCausalLM):
    optimizer = adamw(model, Train(weight_decay=0.3, adam_epsilon=1e-6))
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: decayed[id(p)] for name, p in model.named_parameters()}
    assert by_name["model.layers.0.self_attn.q_proj.weight"] == 0.3
    assert by_name["model.norm.weight"] == 0
    assert optimizer.defaults["eps"] == 1e-6
