"""The loop itself, in this process: what it learns whatever the parts, resumed or not, with an adapter, and samples."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer
from transformers import AutoModelForCausalLM, AutoTokenizer

from mynah.bot import Bot, Generate
from mynah.bucket import Bucket
from mynah.errors import MynahError
from training import checkpoint, kept
from training.base_model import load_base
from training.progress_board import Job
from training.worker import work

MakeBot = Callable[..., Bot]


@pytest.fixture
def learn(
    make_bot: MakeBot, write_dataset: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Train here, with one worker; keyword arguments change the train section. `folder`: where the model lies then.

    `states`: what the checkpoints hold, by step; `resume`: one of them, to go on from.
    """
    bucket = Bucket(f"file://{tmp_path}/bucket")
    dataset = write_dataset(bucket, tmp_path / "dataset")
    numbers = count()

    def run(resume: dict[str, Any] | None = None, prompts: tuple[str, ...] = (), **train: Any) -> dict[str, Any]:
        number = str(next(numbers))
        folders = []

        def report(job: Job, step: int, fill: Callable[[Path], None]) -> None:
            folders.append(tmp_path / number / kept.name_of(step))
            folders[-1].mkdir(parents=True)
            fill(folders[-1])

        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "_report", report)
            patch.setattr(checkpoint, "load", lambda: resume or {})
            settings = make_bot(**{"max_steps": 8, "eval_every": 4, "save_every": 4, **train}).train
            board, generate = MagicMock(), Generate(max_tokens=12)
            job = Job("bird", dataset, number, None, bucket, tmp_path, settings, 1, board, generate, prompts)
            here = TorchTrainer(work, train_loop_config={"job": job}, scaling_config=ScalingConfig(num_workers=0))
            outcome: dict[str, Any] = {}
            patch.setattr(here, "train_loop_per_worker", lambda config: outcome.update(work(config)))
            here.fit()
        states = [torch.load(folder / kept.STATE, weights_only=True) for folder in folders]
        outcome["states"] = {state["step"]: state for state in states}
        return {**outcome, "folder": folders[-1], "shown": board.show.remote.call_args_list}

    return run


def losses(outcome: dict[str, Any]) -> list[float]:
    return [row["loss"] for row in outcome["history"][1:]]


def test_a_step_is_the_same_in_one_part_or_in_many(learn: Callable[..., dict[str, Any]]):
    whole = learn(batch_size=6)
    parts = learn(batch_size=2, batch_tokens=6 * 32)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)
    assert [row["tokens"] for row in parts["history"][1:]] == [row["tokens"] for row in whole["history"][1:]]
    assert losses(learn(batch_size=6, gradient_checkpointing=True)) == pytest.approx(losses(whole), rel=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_same_seed_gives_the_same_losses_and_so_does_a_resumed_run(
    method: str, learn: Callable[..., dict[str, Any]]
):
    train = {"method": method, "lora_dropout": 0.1}
    first = learn(**train)
    assert losses(learn(**train)) == losses(first)
    assert losses(learn(seed=1, **train)) != losses(first)
    resumed = learn(resume=first["states"][4], **train)
    assert losses(resumed) == losses(first)
    assert resumed["history"][-1]["dev_loss"] == first["history"][-1]["dev_loss"]


def test_an_adapter_merged_writes_the_same_text_as_the_adapter(learn: Callable[..., dict[str, Any]], tiny: str):
    from peft import PeftModel

    outcome = learn(method="lora", lora_rank=4, max_steps=20, learning_rate=0.02)
    assert outcome["history"][-1]["dev_loss"] < outcome["history"][0]["dev_loss"] - 0.05
    folder = outcome["folder"]
    tokenizer, merged = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    base = AutoModelForCausalLM.from_pretrained(tiny).eval()
    untuned = base.get_parameter("model.layers.0.self_attn.q_proj.weight").clone()
    beside = PeftModel.from_pretrained(base, folder / "adapter").eval()
    assert not torch.equal(merged.get_parameter("model.layers.0.self_attn.q_proj.weight"), untuned)

    def write(model: Any) -> torch.Tensor:
        asked = tokenizer(["A crow", "My parrot"], return_tensors="pt", return_token_type_ids=False)
        return model.generate(**asked, do_sample=False, max_new_tokens=30)

    assert write(merged).tolist() == write(beside).tolist()
    # A checkpoint holds the adapter and nothing of the base.
    state = outcome["states"][8]
    assert all("lora_" in name for name in state["model"])
    assert sum(each.numel() for each in state["model"].values()) < 0.1 * base.num_parameters()
    held = [group["exp_avg"].numel() for group in state["optimizer"]["state"].values()]
    assert sum(held) == sum(each.numel() for each in state["model"].values())


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_checkpoint_becomes_the_model_that_it_was(method: str, learn: Callable[..., dict[str, Any]], tmp_path: Path):
    outcome = learn(method=method, learning_rate=0.02, save_every=7)
    folder = outcome["folder"].with_name(kept.name_of(7))
    model, tokenizer = load_base(str(folder), tmp_path / "cache")
    # The step after it was the last, at a rate next to nothing: the finished model is all but the same, the base not.
    finished, _ = load_base(str(outcome["folder"]), tmp_path / "cache")
    base, _ = load_base(outcome["states"][7]["train"]["base"], tmp_path / "cache")
    asked = tokenizer(["A crow"], return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        here, there, before = (each.eval()(**asked).logits for each in (model, finished, base))
    assert (here - there).abs().max() < 0.3 * (here - before).abs().max()
    state = torch.load(folder / kept.STATE, weights_only=True)
    del state["train"]
    torch.save(state, folder / kept.STATE)
    with pytest.raises(MynahError, match="an older version wrote this checkpoint"):
        load_base(str(folder), tmp_path / "cache")


def test_an_adapter_is_only_where_it_is_asked_for(learn: Callable[..., dict[str, Any]]):
    outcome = learn(method="lora", lora_rank=4, lora_targets=["q_proj"])
    assert {name.split(".")[-4] for name in outcome["states"][4]["model"]} == {"q_proj"}


def test_it_writes_before_it_learns_and_meanwhile_with_the_same_prompts_and_seed(learn: Callable[..., dict[str, Any]]):
    prompts = ("", "A crow", "")
    outcome = learn(prompts=prompts, sample_every=3, max_steps=8)
    rows = [row for row in outcome["history"] if "samples" in row]
    assert [row["step"] for row in rows] == [0, 3, 6, 8]
    for row in rows:
        assert [sample["prompt"] for sample in row["samples"]] == list(prompts)
        assert row["samples"][1]["text"].startswith("A crow")
        assert row["samples"][0]["text"] != row["samples"][2]["text"]
    again = learn(prompts=prompts, sample_every=3, max_steps=8)
    assert [row["samples"] for row in again["history"] if "samples" in row] == [row["samples"] for row in rows]
    assert losses(again) == losses(learn(sample_every=3))  # it does not disturb what is learnt
    assert outcome["phases"]["samples"] > 0
    shown = [call.kwargs["samples"] for call in outcome["shown"] if "samples" in call.kwargs]
    assert shown[-1] == [{"step": row["step"], "samples": row["samples"]} for row in rows]
    assert "samples" not in learn()["phases"]
