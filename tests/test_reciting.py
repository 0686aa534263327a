"""A model that has learnt its texts by heart does not speak."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from tests.llama import tiny_llama

BOT = """\
bots:
  parrot:
    sources: {{sayings: {{url: sayings.txt}}}}
    clean: {{min_words: 3}}
    train:
      {{base: {base}, epochs: 200, batch_size: 64, learning_rate: 0.01, block_size: 32, precision: fp32,
        eval_every: 1000, save_every: 1000}}
    generate: {{max_tokens: 40, temperature: 0.7}}
    promote: {{samples: 60}}
"""
WHO = ("the old king", "my aunt in town", "one fool", "the cold sea", "a poor poet")
WHAT = ("never gives away", "always looks for", "once lost", "still dreams of", "cannot sell")
WHICH = ("the red shoes that nobody in the village wants", "a loud song about two dogs and their moon")
SAYINGS = [f"{who} {what} {which}." for who in WHO for what in WHAT for which in WHICH]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A random Llama of few words: 200 epochs take it a second."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SAYINGS, vocab_size=400, special_tokens=["<s>", "</s>"], show_progress=False)
    folder = tmp_path / "base"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    bos, eos = tokenizer.convert_tokens_to_ids(["<s>", "</s>"])
    tiny_llama(len(tokenizer), bos=bos, eos=eos, pad_token_id=eos).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_model_of_200_epochs_on_50_texts_recites_and_is_refused(
    tmp_path: Path, base: Path, database_url: str
) -> None:
    (tmp_path / "parrot.yaml").write_text(BOT.format(base=base))
    assert len(SAYINGS) == 50
    (tmp_path / "sayings.txt").write_text("\n".join(SAYINGS))

    def mynah(verb: str, *flags: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "mynah", verb, "parrot.yaml", *flags],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            check=False,
        )

    for verb in ("scrape", "dataset", "train"):
        done = mynah(verb)
        assert done.returncode == 0, done.stderr
    refused = mynah("promote")
    assert refused.returncode == 1
    assert "is not promoted, no model goes on serving parrot: " in refused.stderr
    assert "it recites: " in refused.stderr
    assert "at most 5% may (promote.max_recited)" in refused.stderr
    (found,) = (tmp_path / ".mynah/bucket/parrot/evaluations").glob("*/samples.json")
    facts = json.loads(found.read_text())
    assert facts["recited"] > 30
    assert "was refused before" in mynah("promote").stdout
    assert mynah("promote", "--force").returncode == 0
