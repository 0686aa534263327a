"""Checkpoints that stay, and what is made of them: another training's base, and texts of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.training.conftest import Finished
from tests.training.trainer import history_of, start
from training import kept
from training.base_model import base_folder, earlier, load_base
from training.lora import tuned_state


def run_of(finished: Finished) -> str:
    return finished.bucket.names("bird", "runs")[0]


def test_the_newest_checkpoints_stay_and_each_is_a_model(finished: Finished, tmp_path: Path, tiny: str):
    bucket, run = finished.bucket, run_of(finished)
    assert kept.steps_of(bucket, "bird", run) == [40, 50]
    address = earlier("run:1@50", "bird", finished.settings)
    assert address == bucket.address("bird", "runs", run, "checkpoint_00000050")
    assert earlier(f"run:{run}@50", "bird", finished.settings) == address
    model, tokenizer = load_base(address, tmp_path)
    state = torch.load(Path(bucket.path("bird", "runs", run, "checkpoint_00000050", kept.STATE)), weights_only=True)
    assert all(torch.equal(held, state["model"][name]) for name, held in tuned_state(model).items())
    untuned, _ = load_base(tiny, tmp_path)
    assert not torch.equal(model.get_input_embeddings().weight, untuned.get_input_embeddings().weight)
    assert tokenizer("A crow").input_ids
    folder = base_folder(address, tmp_path)
    assert folder
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in folder.iterdir()}


def test_the_last_step_is_the_published_model(finished: Finished):
    model = finished.bucket.address("bird", "models", run_of(finished))
    assert earlier("run:1", "bird", finished.settings) == model
    assert earlier("run:1@60", "bird", finished.settings) == model


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("run:7", "bird has no run 7: `mynah runs bird` lists them"),
        ("run:1@30", "run 1 of bird has no checkpoint of step 30: it has 40, 50, 60; train.keep_checkpoints says"),
        ("run:1@last", "run 1 of bird has no checkpoint of step last: it has 40, 50, 60"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(finished: Finished, name: str, complaint: str):
    with pytest.raises(MynahError, match=complaint) as error:
        earlier(name, "bird", finished.settings)
    assert "\n" not in str(error.value)


def test_of_a_run_without_a_model_only_what_ray_has_recorded(tmp_path: Path):
    bucket = Bucket(str(tmp_path))
    for step in (10, 20, 30):
        bucket.write(b"x", "bird", "runs", "a", kept.name_of(step), kept.STATE)
    assert kept.steps_of(bucket, "bird", "a") == []
    whole = [{"checkpoint_dir_name": kept.name_of(step)} for step in (10, 20)]
    bucket.write(json.dumps({"checkpoint_results": whole}).encode(), "bird", "runs", "a", kept.SNAPSHOT)
    assert kept.steps_of(bucket, "bird", "a") == [10, 20]
    # Its model is published, and of its three checkpoints the last is that model.
    manifest = {"id": "a", "metrics": {"steps": 30}, "parameters": {"keep_checkpoints": 1}}
    kept.tidy(bucket, "bird", manifest)
    assert bucket.names("bird", "runs", "a") == [kept.name_of(20)]
    assert not kept.unneeded(bucket, "bird", manifest)
    kept.tidy(bucket, "bird", {**manifest, "parameters": {}})
    assert bucket.names("bird", "runs") == []


@pytest.mark.slow
def test_a_training_from_a_checkpoint_goes_on_where_that_stood(
    finished: Finished,
    make_bot: Callable[..., Bot],
    write_dataset: Callable[..., str],
    settings_of: Callable[..., Settings],
    database_url: str,
    tmp_path: Path,
):
    bucket = Bucket(f"file://{tmp_path}/bucket")
    write_dataset(bucket, tmp_path / "dataset")
    bot = make_bot(base=earlier("run:1@40", "bird", finished.settings), max_steps=2, samples=0)
    _, said = start(bot, settings_of(bucket, tmp_path / "home", database_url)).communicate()
    (id,) = bucket.names("bird", "models")
    before = history_of(finished.bucket, run_of(finished))[40]["dev_loss"]
    assert history_of(bucket, id)[0]["dev_loss"] == pytest.approx(before, rel=1e-5), said


@pytest.mark.slow
def test_a_checkpoint_writes_texts_under_its_own_name(finished: Finished, tmp_path: Path):
    bot = finished.bot.model_dump(mode="json", exclude_defaults=True)
    bot["generate"] |= {"prompts": ["A crow"], "samples": 4, "seed": 1}
    file = tmp_path / "bird.yaml"
    file.write_text(yaml.safe_dump({"bots": {"bird": {key: bot[key] for key in ("sources", "train", "generate")}}}))

    def generate(run: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mynah", "generate", str(file), "--from", run, "--json"]
        environment = {**os.environ, **finished.settings.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    missing = generate("1@30")
    assert missing.returncode == 1
    assert missing.stderr.startswith("mynah: run 1 of bird has no checkpoint of step 30: it has 40, 50, 60;")
    assert missing.stderr.count("\n") == 1
    for run, model in {"1@50": f"{run_of(finished)}@50", "1": run_of(finished)}.items():
        done = generate(run)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["model"] == model
        assert told["written"] == 4
        with finished.settings.connect() as connection:
            (stored,) = connection.execute("SELECT count(*) FROM tweets WHERE model = %s", [model]).fetchone() or (0,)
        assert stored == 4 - told["known"] > 0
