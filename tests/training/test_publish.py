"""A model folder that servers load: what begins and ends a text there, and the same words from OpenVINO."""

import json
from pathlib import Path

import openvino
import openvino_genai
import openvino_tokenizers  # noqa: F401  (registers its operations)
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from mynah.bot import Generate
from tests.thread import in_thread
from training.blocks import begin_with_bos, encode
from training.publish import write_model

GENERATE = Generate(max_tokens=33, temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.1)


SENTENCE = "The mynah repeats your secret."


@pytest.fixture
def parrot(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A tiny model that knows one sentence by heart, from BOS to EOS."""
    begin_with_bos(tokenizer)
    tokens = torch.tensor(list(encode(tokenizer, [SENTENCE])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.1
    return model


@in_thread
def test_a_published_model_says_the_same_everywhere(
    parrot: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    folder = tmp_path / "model"
    tokenizer.chat_template = "{{ messages[0].content }}"
    capfd.readouterr()
    write_model(parrot, tokenizer, folder, GENERATE)
    assert capfd.readouterr() == ("", "")

    # Every tokenizer begins a prompt with BOS by itself, and an empty prompt is BOS alone.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    in_openvino = openvino.compile_model(folder / "openvino" / "openvino_tokenizer.xml", "CPU")
    for prompt in ("", "The mynah"):
        tokens = tokenizer(prompt)["input_ids"]
        assert tokens[0] == 1
        assert 1 not in tokens[1:]
        assert in_openvino([prompt])["input_ids"][0].tolist() == tokens
    assert tokenizer("")["input_ids"] == [1]
    # Both folders keep the base model's chat template. All is named as servers with transformers 4 know it.
    assert tokenizer.chat_template == "{{ messages[0].content }}"
    for place in (folder, folder / "openvino"):
        config = json.loads((place / "tokenizer_config.json").read_text())
        assert (config["tokenizer_class"], config["chat_template"]) == (
            "PreTrainedTokenizerFast",
            "{{ messages[0].content }}",
        )
    assert openvino_genai.Tokenizer(folder / "openvino").chat_template == "{{ messages[0].content }}"

    # Sampling defaults, in both folders.
    for place in (folder, folder / "openvino"):
        settings = json.loads((place / "generation_config.json").read_text())
        for name, value in GENERATE.model_dump(include={"temperature", "top_p", "top_k", "repetition_penalty"}).items():
            assert settings[name] == value
        assert (settings["do_sample"], settings["max_new_tokens"]) == (True, 33)
        assert (settings["bos_token_id"], settings["eos_token_id"]) == (1, 2)

    # The weights are the model's; from an empty prompt, OpenVINO's int8 ones say the same and stop at EOS too.
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), parrot.parameters(), strict=True))
    said = loaded.generate(**tokenizer("", return_tensors="pt"), do_sample=False)[0].tolist()
    assert said == next(encode(tokenizer, [SENTENCE]))
    pipeline = openvino_genai.LLMPipeline(folder / "openvino", "CPU")
    assert str(pipeline.generate("", do_sample=False, apply_chat_template=False)) == SENTENCE


@in_thread
def test_eos_stands_in_for_a_missing_bos(tmp_path: Path):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: id for id, token in enumerate([*alphabet, "<end>"])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    torch.manual_seed(0)
    config = {"vocab_size": 257, "n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2}
    write_model(GPT2LMHeadModel(GPT2Config(**config)), tokenizer, tmp_path / "model", GENERATE)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    in_openvino = openvino.compile_model(tmp_path / "model" / "openvino" / "openvino_tokenizer.xml", "CPU")
    assert tokenizer("")["input_ids"] == in_openvino([""])["input_ids"][0].tolist() == [256]
    assert (
        tokenizer("hi")["input_ids"]
        == in_openvino(["hi"])["input_ids"][0].tolist()
        == [256, *tokenizer("hi", add_special_tokens=False)["input_ids"]]
    )
