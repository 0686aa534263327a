"""Texts of one row do not see each other, whatever the model."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from mynah.bot import Train
from training.blocks import pack
from training.cross_entropy import cross_entropy
from training.loss import dev_loss, is_causal, keeps_borders, nats_of

CPU = torch.device("cpu")
SMALL = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA = {**SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
KEEP: dict[str, Callable[[], PreTrainedConfig]] = {
    "GPT-2": lambda: GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4),
    "Llama": lambda: LlamaConfig(**LLAMA),
    "Qwen2": lambda: Qwen2Config(**LLAMA),
    "Qwen3": lambda: Qwen3Config(**LLAMA, head_dim=8),
    "Gemma2": lambda: Gemma2Config(**LLAMA, head_dim=8),  # its logits are bent after the last layer
    "Gemma3": lambda: Gemma3TextConfig(**LLAMA, head_dim=8, sliding_window=4),
}
DO_NOT: dict[str, Callable[[], PreTrainedConfig]] = {
    "Bloom": lambda: BloomConfig(vocab_size=100, hidden_size=32, n_layer=2, n_head=4),
    "OPT": lambda: OPTConfig(**SMALL, ffn_dim=64, word_embed_proj_dim=32),
    "Mamba": lambda: MambaConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2),
}
DOCUMENTS = [[1, *range(10 * n, 10 * n + length), 2] for n, length in enumerate((7, 3, 9, 2, 5, 8, 1), 1)]


def made(config: Callable[[], PreTrainedConfig]) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config()).eval()
    return model


def by_itself(model: PreTrainedModel) -> float:
    """The nats of each document alone, by transformers' own loss."""
    total = 0.0
    for document in DOCUMENTS:
        tokens = torch.tensor([document])
        total += model(input_ids=tokens, labels=tokens).loss.item() * (len(document) - 1)
    return total


@torch.no_grad()
@pytest.mark.parametrize("config", KEEP.values(), ids=KEEP)
def test_texts_packed_in_rows_cost_what_each_costs_alone(config: Callable[[], PreTrainedConfig]):
    model = made(config)
    assert keeps_borders(model)
    rows = pack(DOCUMENTS, 24)
    assert len(rows) == 3
    alone = by_itself(model)
    assert nats_of(model, model.get_output_embeddings(), rows, CPU).item() == pytest.approx(alone, rel=1e-5)
    # Without borders, it would not.
    blurred = pack(DOCUMENTS, 24)
    blurred.positions[:] = range(24)
    asked = pack(DOCUMENTS, 24).asked()
    blurred = type("Blurred", (type(rows),), {"asked": lambda _: asked})(blurred.tokens, blurred.positions)
    assert nats_of(model, model.get_output_embeddings(), blurred, CPU).item() != pytest.approx(alone, rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("config", DO_NOT.values(), ids=DO_NOT)
def test_a_model_that_sees_over_borders_is_found_out_and_gets_rows_of_one_text(config: Callable[[], PreTrainedConfig]):
    model = made(config)
    assert is_causal(model)
    assert not keeps_borders(model)
    rows = pack(DOCUMENTS, 24, together=False)
    assert nats_of(model, model.get_output_embeddings(), rows, CPU).item() == pytest.approx(by_itself(model), rel=1e-5)


def test_the_dev_loss_is_the_mean_over_tokens_whatever_the_batch():
    model = made(KEEP["Llama"])
    rows, tokens = pack(DOCUMENTS, 24), sum(len(document) - 1 for document in DOCUMENTS)
    for batch_size in (1, 2, 8):
        measured = dev_loss(model, rows, Train(batch_size=batch_size, precision="fp32"), 0, 1, CPU)
        assert measured == pytest.approx(by_itself(model) / tokens, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cross_entropy_is_torchs_own(dtype: torch.dtype):
    torch.manual_seed(0)
    logits, wanted = torch.randn(150, 500).mul(5).to(dtype).requires_grad_(), torch.randint(0, 500, (150,))
    ours, torchs = cross_entropy(logits, wanted), functional.cross_entropy(logits.float(), wanted, reduction="sum")
    assert ours.item() == pytest.approx(torchs.item(), rel=1e-6)
    gradients = [torch.autograd.grad(nats * 0.3, logits)[0] for nats in (ours, torchs)]
    torch.testing.assert_close(*gradients)


def test_a_model_that_sees_what_comes_after_is_not_causal():
    torch.manual_seed(0)
    assert not is_causal(BertLMHeadModel(BertConfig(**SMALL, intermediate_size=64)).eval())
    assert is_causal(made(KEEP["GPT-2"]))
