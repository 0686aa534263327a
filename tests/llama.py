"""The model that tests train and serve: a Llama small enough to be random, and still a Llama."""

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def tiny_llama(vocabulary: int, bos: int, eos: int, **config: Any) -> LlamaForCausalLM:
    """A random Llama of two layers, the same at each call; `config` goes to its LlamaConfig."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            bos_token_id=bos,
            eos_token_id=eos,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            **config,
        )
    )
