"""Bases of every kind of the field, tiny and random: how they are found, and where their texts begin and end."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.training.conftest import SENTENCES
from training.base_model import check_causal, earlier, load_base
from training.blocks import begin_with_bos, encode

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2}


def trained(*specials: str) -> Tokenizer:
    """A byte-level BPE tokenizer like GPT-2's, of a few sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(specials), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def slow_files(tokenizer: Tokenizer, folder: Path) -> None:
    """The tokenizer as ruGPT has it: vocab.json and merges.txt, and no word on what its tokens are for."""
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def gpt2(vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4))


def fast(tokenizer: Tokenizer, **specials: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)


def as_gpt2(folder: Path) -> None:
    tokenizer = trained("<|endoftext|>")
    end = "<|endoftext|>"
    fast(tokenizer, bos_token=end, eos_token=end).save_pretrained(folder)
    gpt2(tokenizer.get_vocab_size()).save_pretrained(folder)


def as_rugpt(folder: Path) -> None:
    tokenizer = trained("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    slow_files(tokenizer, folder)
    gpt2(tokenizer.get_vocab_size()).save_pretrained(folder)


def as_old_gpt2(folder: Path) -> None:
    tokenizer = trained("<|endoftext|>")
    slow_files(tokenizer, folder)
    gpt2(tokenizer.get_vocab_size()).save_pretrained(folder)


def as_qwen(folder: Path) -> None:
    tokenizer = trained("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    fast(tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>").save_pretrained(folder)  # and no BOS
    Qwen2ForCausalLM(Qwen2Config(vocab_size=tokenizer.get_vocab_size(), **SMALL)).save_pretrained(folder)


def as_gemma(folder: Path) -> None:
    tokenizer = trained("<pad>", "<eos>", "<bos>")
    fast(tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>").save_pretrained(folder)
    Gemma2ForCausalLM(Gemma2Config(vocab_size=tokenizer.get_vocab_size(), head_dim=8, **SMALL)).save_pretrained(folder)


def as_llama(folder: Path) -> None:
    tokenizer = trained("<unk>", "<s>", "</s>")
    fast(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), **SMALL)).save_pretrained(folder)


def as_gguf(folder: Path) -> None:
    """As llama.cpp's converter writes a small Llama with a tokenizer like GPT-2's."""
    tokenizer = trained("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), tie_word_embeddings=True, **SMALL))
    writer = gguf.GGUFWriter(folder / "model-f32.gguf", "llama")
    writer.add_vocab_size(tokenizer.get_vocab_size())
    writer.add_context_length(256)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    inner = json.loads(tokenizer.to_str())["model"]
    writer.add_token_list([token for token, _ in sorted(inner["vocab"].items(), key=lambda item: item[1])])
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(inner["vocab"]) - 3))
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in inner["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        values = tensor.numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = 4 if "q_proj" in name else 2
            values = values.reshape(heads, 2, -1, 32).swapaxes(1, 2).reshape(values.shape)
        found = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(found, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


BASES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "GPT-2": (as_gpt2, "<|endoftext|>", "<|endoftext|>"),
    "GPT-2 without tokenizer.json": (as_old_gpt2, "<|endoftext|>", "<|endoftext|>"),
    "ruGPT": (as_rugpt, "<s>", "</s>"),
    "Qwen": (as_qwen, "<|endoftext|>", "<|endoftext|>"),
    "Gemma": (as_gemma, "<bos>", "<eos>"),
    "Llama": (as_llama, "<s>", "</s>"),
    "GGUF": (as_gguf, "<|im_start|>", "<|im_end|>"),
}


@pytest.mark.parametrize("kind", BASES)
def test_a_text_begins_and_ends_as_the_base_knows_it(kind: str, tmp_path: Path):
    make, bos, eos = BASES[kind]
    folder = tmp_path / "base"
    folder.mkdir()
    make(folder)
    model, tokenizer = load_base(str(folder), tmp_path / "cache")
    begin_with_bos(tokenizer)
    (tokens,) = encode(tokenizer, ["A crow forgets the news."])
    assert tokenizer.convert_ids_to_tokens([tokens[0], tokens[-1]]) == [bos, eos]
    assert tokenizer.decode(tokens[1:-1]) == "A crow forgets the news."
    assert max(*tokens, tokenizer.pad_token_id) < model.get_input_embeddings().weight.shape[0]
    assert torch.isfinite(model(input_ids=torch.tensor([tokens])).logits).all()
    # It is saved and loaded again as what it is.
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    again, tokenizer = load_base(str(tmp_path / "again"), tmp_path / "cache")
    begin_with_bos(tokenizer)
    assert list(encode(tokenizer, ["A crow forgets the news."])) == [tokens]
    assert torch.equal(again(input_ids=torch.tensor([tokens])).logits, model(input_ids=torch.tensor([tokens])).logits)


def test_a_gguf_file_gives_the_weights_that_were_put_into_it_and_is_converted_once(tmp_path: Path):
    as_gguf(tmp_path)
    torch.manual_seed(0)
    size = trained("<|endoftext|>", "<|im_start|>", "<|im_end|>").get_vocab_size()
    original = LlamaForCausalLM(LlamaConfig(vocab_size=size, tie_word_embeddings=True, **SMALL)).eval()
    model, _ = load_base(str(tmp_path), tmp_path / "cache")
    tokens = torch.tensor([[1, 50, 60, 70]])
    torch.testing.assert_close(model(input_ids=tokens).logits, original(input_ids=tokens).logits)
    with patch("training.gguf_model.convert", side_effect=AssertionError("converted again")):
        load_base(str(tmp_path / "model-f32.gguf"), tmp_path / "cache")
    (tmp_path / "model-q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(MynahError, match=r"has several GGUF files \(model-f32.gguf, model-q4.gguf\): name one, as"):
        load_base(str(tmp_path), tmp_path / "cache")
    with pytest.raises(
        MynahError, match=r"^base model .*model-q4.gguf cannot be read \(.*\): name another train.base$"
    ):
        load_base(str(tmp_path / "model-q4.gguf"), tmp_path / "cache")


def test_what_is_not_causal_is_refused_in_one_line(tmp_path: Path):
    t5 = T5Config(vocab_size=50, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(t5).save_pretrained(tmp_path / "t5")
    bert = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}
    BertForMaskedLM(BertConfig(vocab_size=50, **bert)).save_pretrained(tmp_path / "bert")
    for name, kind in {"t5": "T5ForConditionalGeneration", "bert": "BertForMaskedLM"}.items():
        with pytest.raises(MynahError) as error:
            check_causal(str(tmp_path / name), tmp_path / "cache")
        expected = f"base model {tmp_path / name} ({kind}) is not a causal language model: name another train.base"
        assert str(error.value) == expected


def test_an_earlier_model_is_named_by_its_place_in_the_bucket(tmp_path: Path):
    bucket = Bucket(f"file://{tmp_path}/bucket")
    settings = Settings.read({"MYNAH_BUCKET": bucket.url, "MYNAH_HOME": str(tmp_path), "DATABASE_URL": "host=nowhere"})
    as_gpt2(tmp_path / "base")
    bucket.publish(tmp_path / "base", {}, "bird", "models", "1")
    assert earlier("bird/models/1", "crow", settings) == bucket.address("bird", "models", "1")
    assert earlier("bird/models/2", "crow", settings) == "bird/models/2"
    assert earlier("smollm2-135m", "crow", settings) == "smollm2-135m"
