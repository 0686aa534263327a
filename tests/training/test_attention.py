"""Attention over short rows gives what transformers' own gives, forth and back."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from tests.training.test_loss import DOCUMENTS, KEEP, made
from training.attention import NAME, _attend, attend_to_short_rows
from training.blocks import pack
from training.loss import nats_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["GPT-2", "Llama", "Qwen3", "Gemma3"])
def test_losses_and_gradients_are_those_of_torchs_own(kind: str, tmp_path: Path):
    config: Callable[[], PreTrainedConfig] = KEEP[kind]
    own, ours = made(config), made(config)
    attend_to_short_rows(ours)
    assert ours.config._attn_implementation == NAME
    rows = pack(DOCUMENTS, 24)
    for model in (own, ours):
        nats_of(model, model.get_output_embeddings(), rows, CPU).backward()
    for (name, one), other in zip(own.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-5, msg=name)
    # Where the model is loaded again, nothing is left of it; and it still writes, with a cache.
    ours.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
    asked = {"input_ids": torch.tensor([[0, 0, 5, 6], [1, 7, 8, 9]])}
    asked["attention_mask"] = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    texts = [model.generate(**asked, do_sample=False, max_new_tokens=8, use_cache=True) for model in (own, ours)]
    assert texts[0].tolist() == texts[1].tolist()


def test_it_computes_in_bf16_where_torch_is_told_to_and_drops_what_it_is_told_to():
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 6, 16, 8), torch.randn(2, 3, 16, 8), torch.randn(2, 3, 16, 8)
    mask = torch.full((2, 1, 16, 16), torch.finfo(torch.float32).min).triu(1)
    exact = _attend(torch.nn.Module(), query, key, value, mask)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = _attend(torch.nn.Module(), query, key, value, mask)[0]
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.05)
    dropped = torch.stack([_attend(torch.nn.Module(), query, key, value, mask, dropout=0.5)[0] for _ in range(300)])
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(dropped.mean(0), exact, rtol=0, atol=0.35)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_row_that_sees_nothing_is_of_numbers(kind: torch.dtype):
    """As what fills a shorter prompt up is: its keys are multiplied by 0 later, and no number times 0 is no number."""
    query, key, value = (torch.randn(1, 2, 4, 8).to(kind) for _ in range(3))
    mask = torch.full((1, 1, 4, 4), torch.finfo(torch.float32).min).triu(1)
    mask[:, :, 0] = torch.finfo(torch.float32).min
    assert torch.isfinite(_attend(torch.nn.Module(), query, key, value, mask)[0]).all()
