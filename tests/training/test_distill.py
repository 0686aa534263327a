"""A smaller model learns from the current one."""

from collections.abc import Callable

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from mynah.bot import Bot
from mynah.bot.distill import Distill
from mynah.database import runs
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.evaluations import evaluation
from mynah.settings import Settings
from tests.llama import tiny_llama
from tests.training.conftest import CURRENT
from training.base_model import load_base
from training.distill import distill
from training.students import count_weights, student_of

QWEN = Qwen3Config(
    vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=5, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, layer_types=["full_attention"] * 2 + ["sliding_attention"] * 3,
    use_sliding_window=True, sliding_window=8, max_window_layers=2,
)  # fmt: skip


def gpt2(layers: int) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=layers, n_head=2))


@pytest.mark.parametrize(
    ("teacher", "kept"),
    [
        (lambda: gpt2(6), [0, 2, 5]),
        (lambda: gpt2(2), [0]),
        (lambda: Qwen3ForCausalLM(QWEN), [0, 2, 4]),
        (lambda: tiny_llama(50, bos=1, eos=2), [0]),
    ],
)
def test_a_student_is_every_second_layer_and_all_the_rest(
    teacher: Callable[[], PreTrainedModel], kept: list[int]
) -> None:
    model = teacher()
    student = student_of(model)
    assert student.config.num_hidden_layers == len(kept)
    layers = next(name for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList))
    for name, weight in student.state_dict().items():
        if name.startswith(layers):
            place, _, rest = name.removeprefix(f"{layers}.").partition(".")
            assert torch.equal(weight, model.state_dict()[f"{layers}.{kept[int(place)]}.{rest}"]), name
        else:
            assert torch.equal(weight, model.state_dict()[name]), name
    assert count_weights(student) < count_weights(model)
    assert student(input_ids=torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 50)
    if isinstance(model, Qwen3ForCausalLM):
        assert student.config.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]


def test_a_model_of_one_layer_has_no_student() -> None:
    with pytest.raises(MynahError, match="a GPT2LMHeadModel has no list of layers"):
        student_of(gpt2(1))


@pytest.mark.slow
def test_the_student_is_published_smaller_and_learns(
    make_bot: Callable[..., Bot], with_current: Settings, speaking: Connection, tokenizer: PreTrainedTokenizerFast
) -> None:
    bot = make_bot().model_copy(update={"distill": Distill(epochs=2, batch_size=16, learning_rate=5e-3)})
    made = distill(bot, with_current)
    assert "2 → 1 layers" in made.summary()
    assert made.metrics["weights"] < made.metrics["weights_before"]
    assert made.metrics["dev_loss"] < made.metrics["dev_loss_before"]  # its teacher is random, the texts are not
    student, _ = load_base(made.address, with_current.home)
    assert isinstance(student, LlamaForCausalLM)
    assert len(student.model.layers) == 1
    assert evaluation(with_current.bucket, "bird", made.id, CURRENT)
    run = runs.find(speaking, "bird")
    assert (run.kind, run.state, run.model) == ("distill", "done", made.id)
    assert distill(bot, with_current).skipped
