"""The train stage on a real Ray: a loss that falls, a killed run that goes on, and failures in one line."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from unittest.mock import MagicMock

import psutil
import pytest
import torch
from huggingface_hub import ModelCard
from ray.exceptions import ActorDiedError
from ray.train import ScalingConfig, WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from transformers import AutoModelForCausalLM, AutoTokenizer

from mynah.bot import Bot, Train
from mynah.bucket import Bucket, fingerprint
from mynah.database import leases, runs
from mynah.database.connection import Connection
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.evaluations import evaluation
from mynah.settings import Settings
from tests.training.conftest import UNTUNED, Finished
from tests.training.trainer import history_of, start
from training.blocks import encode, pack_dev
from training.checkpoint import mend
from training.evaluation import Scored, evaluate
from training.failures import root_cause
from training.kept import SNAPSHOT, steps_of
from training.loss import dev_loss
from training.progress_board import Job
from training.train import inputs, train
from training.worker import measure_current, work

MakeBot = Callable[..., Bot]
WriteDataset = Callable[..., str]
SettingsOf = Callable[[Bucket, Path, str], Settings]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(f"file://{tmp_path}/bucket")


@pytest.fixture
def settings(bucket: Bucket, tmp_path: Path, database_url: str, settings_of: SettingsOf) -> Settings:
    return settings_of(bucket, tmp_path / "home", database_url)


def test_two_workers_lower_the_dev_loss_and_publish(finished: Finished, settings_of: SettingsOf, tmp_path: Path):
    bucket = finished.bucket
    assert finished.out == ""
    (id,) = set(bucket.names("bird", "models")) - {UNTUNED}
    began, first, second, *progress, last = finished.err.splitlines()
    assert began == f"run 1 of bird, {id}"
    assert first.startswith("starting 2 workers, ")
    assert second.startswith("training bird: 60 steps, ")
    said = "\n".join(progress)
    assert re.search(r"^the untuned model writes:\n  .*\n(.*\n)*after step 60 it writes:\n  ", said, re.MULTILINE)
    assert re.search(
        r"^    step +loss +dev loss +learning rate\n +0 +10\.\d+\n +20 +\d+\.\d+ +\d+\.\d+ +2\..*\n", said, re.M
    )
    assert last == "exporting and publishing the model"
    log = [began, first, second]

    # The same work is not done twice: it is found, and the plot comes along to another machine.
    trained = train(finished.bot, settings_of(bucket, tmp_path, "host=nowhere"))  # without asking Postgres
    assert trained.skipped
    assert trained.phases == {}
    assert Path(trained.plot).read_bytes() == bucket.read("bird", "models", trained.id, "training.png")
    metrics = trained.metrics
    assert metrics["dev_loss"] < metrics["dev_loss_untuned"] - 1
    assert metrics["steps"] == 60
    assert 0.8 * 60 * 2 * 2 * 32 < metrics["train_tokens"] <= 60 * 2 * 2 * 32
    assert f"{metrics['dev_loss']:.3f}" in trained.summary()
    assert json.loads(json.dumps(asdict(trained)))["id"] == trained.id
    history = history_of(bucket, trained.id)
    assert [row["step"] for row in history] == list(range(61))
    assert [row["step"] for row in history if "dev_loss" in row] == [0, 20, 40, 60]
    assert history[-1]["dev_loss"] == metrics["dev_loss"]

    manifest = bucket.manifest("bird", "models", trained.id)
    assert manifest["dataset"] == finished.dataset
    assert manifest["parameters"] == finished.bot.train.model_dump()
    assert {
        "README.md", "training.png", "history.jsonl", "model.safetensors", "openvino/openvino_model.xml",
    } <= set(manifest["files"])  # fmt: skip
    assert any(name.startswith("runs/events.out.tfevents.") for name in manifest["files"])
    card = ModelCard(bucket.read("bird", "models", trained.id, "README.md").decode())
    assert {result.metric_value for result in card.data.eval_results or []} >= {metrics["dev_perplexity"]}
    # What happened stands in Postgres, wherever one asks.
    with finished.settings.connect() as connection:
        run = runs.find(connection, "bird")
        assert [line.line for line in runs.lines(connection, run)][: len(log)] == log
        assert any("loss" in point for point in runs.points(connection, run))
    assert (run.state, run.number, run.model, run.metrics) == ("done", 1, trained.id, metrics)
    assert run.metrics["cost_usd"] == pytest.approx(run.metrics["worked_seconds"] / 3600 * 2 * 1.5, abs=1e-4)
    assert bucket.names("bird", "runs", trained.id) == ["checkpoint_00000040", "checkpoint_00000050"]

    # What lies there is the model that was measured.
    folder = bucket.path("bird", "models", trained.id)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = [document.text for document in unpack(bucket.read("bird", "datasets", finished.dataset, "dev.jsonl.zst"))]
    dev = pack_dev(encode(tokenizer, texts), 32, 8)
    loss = dev_loss(model, dev, finished.bot.train, 0, 1, torch.device("cpu"))
    assert loss == pytest.approx(metrics["dev_loss"], rel=1e-4)


def test_both_models_are_measured_on_the_new_dev_texts(finished: Finished):
    model = finished.bucket.names("bird", "models")[-1]
    manifest = finished.bucket.manifest("bird", "models", model)
    assert manifest is not None
    metrics = manifest["metrics"]
    assert metrics["dev_nats_per_character"] < metrics["dev_nats_per_character_untuned"] - 0.1
    # The current model is the untuned one, so that its figure is known; it has seen none of these texts.
    untuned = pytest.approx(metrics["dev_nats_per_character_untuned"], rel=1e-6)
    assert metrics["compared"] == {"model": UNTUNED, "dev_nats_per_character": untuned}
    texts = [d.text for d in unpack(finished.bucket.read("bird", "datasets", finished.dataset, "dev.jsonl.zst"))]
    assert metrics["dev_scored"] == {"texts": len(texts), "characters": sum(map(len, texts))}
    # What promotion reads, from the training as from `mynah evaluate`.
    written = evaluation(finished.bucket, "bird", model, UNTUNED)
    assert written is not None
    assert written["dataset"] == finished.dataset
    assert written["dev_nats_per_character"] == metrics["dev_nats_per_character"]
    assert written["current_dev_nats_per_character"] == metrics["compared"]["dev_nats_per_character"]
    again = evaluate(finished.bot, finished.settings)
    assert again.dev_nats_per_character == pytest.approx(written["dev_nats_per_character"], rel=1e-4)
    assert again.current_dev_nats_per_character == pytest.approx(written["current_dev_nats_per_character"], rel=1e-4)


def test_the_driver_loads_one_model_and_says_where_its_time_went(finished: Finished):
    trained = json.loads((finished.settings.home / "trained.json").read_text())
    (loaded,) = trained["loaded"]
    assert "checkpoint_" in loaded  # not the base model
    phases = trained["phases"]
    assert {"Ray's start", "workers' start", "steps", "measuring", "checkpoints", "export", "publishing"} < set(phases)
    assert min(phases.values()) >= 0
    assert 0 < phases["steps"] <= trained["metrics"]["seconds"]


def test_the_run_of_a_published_model_is_deleted_by_the_next_call(finished: Finished):
    bucket = finished.bucket
    model = bucket.names("bird", "models")[-1]
    bucket.write(b"x", "bird", "runs", model, "checkpoint_00000060", "state.pt")  # killed just before it was deleted
    bucket.write(b"x", "bird", "runs", "20200101T000000-11111111", "checkpoint_00000010", "state.pt")
    assert train(finished.bot, finished.settings).skipped
    # Those of train.keep_checkpoints stay, and those of a run that is unfinished: it may be gone on with.
    assert bucket.names("bird", "runs", model) == ["checkpoint_00000040", "checkpoint_00000050"]
    assert bucket.names("bird", "runs") == ["20200101T000000-11111111", model]
    bucket.delete("bird", "runs", "20200101T000000-11111111")


def test_a_current_model_that_is_gone_does_not_fail_the_training(bucket: Bucket, make_bot: MakeBot, tmp_path: Path):
    job = Job("bird", "1", "1", UNTUNED, bucket, tmp_path, make_bot().train, 1, MagicMock())
    measured = measure_current(job, [Scored("A crow.", True)], 0, 1, torch.device("cpu"))
    assert measured["dev_nats_per_character"] is None
    assert UNTUNED in str(measured["why"])


def test_a_new_key_at_its_default_leaves_a_model_as_it_is(make_bot: MakeBot):
    class NewerTrain(Train):
        magic: int = 0

    class NewerBot(Bot):
        train: NewerTrain = NewerTrain()

    bot = make_bot(workers=2)
    source = {"kind": "file", "url": "unused.txt"}

    def newer(**train: object) -> Bot:
        changed = bot.train.model_dump(exclude_unset=True)
        generate = {"max_tokens": 20}
        return NewerBot(name="bird", sources={"s": source}, generate=generate, train={**changed, **train})

    assert fingerprint(inputs(newer(), "1")) == fingerprint(inputs(bot, "1"))
    assert fingerprint(inputs(newer(magic=1), "1")) != fingerprint(inputs(bot, "1"))


@pytest.mark.slow
def test_one_trainer_at_a_time_and_one_that_lost_its_run_stops(
    make_bot: MakeBot, write_dataset: WriteDataset, settings: Settings, connection: Connection, tmp_path: Path
):
    bot, bucket = make_bot(max_steps=100_000), settings.bucket
    name = f"bird/runs/{fingerprint(inputs(bot, write_dataset(bucket, tmp_path / 'dataset')))}"
    first = start(bot, settings, renew=0.5)
    while leases.held(connection, name) is None:
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.1)

    second = start(bot, settings)
    out, err = second.communicate()
    assert (second.returncode, out) == (1, "")
    assert re.fullmatch(rf"mynah: run {name} is held by \S+:{first.pid} since [^\n]+: wait for it, or stop it\n", err)

    while not any(SNAPSHOT in bucket.names("bird", "runs", run) for run in bucket.names("bird", "runs")):
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.1)
    connection.execute("UPDATE leases SET holder = 'elsewhere:7 0123abcd'")
    _, err = first.communicate()
    assert first.returncode == 1
    assert err.splitlines()[-1] == f"mynah: run {name} was taken over by elsewhere:7: this trainer stops here"
    assert bucket.names("bird", "models") == []
    (run,) = bucket.names("bird", "runs")
    assert any(entry.startswith("checkpoint_") for entry in bucket.names("bird", "runs", run))
    now = leases.held(connection, name)
    assert now is not None
    assert now.holder == "elsewhere:7 0123abcd"


def test_a_trainer_that_loses_its_run_while_it_publishes_publishes_nothing(bucket: Bucket, tiny: str):
    def lost() -> None:
        raise MynahError("taken over")

    with pytest.raises(MynahError, match="taken over"):
        bucket.publish(Path(tiny), {}, "bird", "models", "1", check=lost)
    assert bucket.manifest("bird", "models", "1") is None


def test_finding_a_finished_model_imports_nothing_heavy():
    script = "import sys, training.train; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "mynah.bucket" in imported
    assert not {"torch", "ray", "transformers", "matplotlib"} & set(imported)


@pytest.mark.slow
def test_a_stop_from_another_machine_keeps_the_checkpoint(
    make_bot: MakeBot, write_dataset: WriteDataset, settings: Settings, connection: Connection, tmp_path: Path
):
    write_dataset(settings.bucket, tmp_path / "dataset")
    process = start(make_bot(max_steps=100_000), settings)
    run = None
    while run is None or not run.progress.get("saved"):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
        run = next(iter(runs.list_runs(connection, "bird", 1)), None)
    assert run.state == "running"
    assert runs.ask_to_stop(connection, run)
    _, err = process.communicate()
    said = err.splitlines()[-1]
    found = re.fullmatch(
        r"mynah: (run 1 of bird was stopped by \S+; `mynah train bird` goes on from step ([\d,]+) or later)", said
    )
    assert found, said
    stopped = runs.find(connection, "bird")
    assert (stopped.state, stopped.why, stopped.number) == ("stopped", found[1], 1)
    assert runs.lines(connection, stopped)[-1].line == found[1]
    assert steps_of(settings.bucket, "bird", stopped.id)[-1] >= int(found[2].replace(",", ""))


@pytest.mark.slow
def test_a_training_that_is_stopped_while_ray_starts_leaves_no_process(
    finished: Finished, write_dataset: WriteDataset, settings: Settings, tmp_path: Path
):
    write_dataset(settings.bucket, tmp_path / "dataset")
    process = start(finished.bot, settings)
    titles: list[str] = []
    while "ray::DashboardAgent" not in titles:
        assert process.poll() is None, process.stderr.read()
        family, titles = psutil.Process(process.pid).children(recursive=True), []
        for child in family:
            with suppress(psutil.NoSuchProcess):
                titles += child.cmdline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_whole_checkpoint(
    finished: Finished,
    write_dataset: WriteDataset,
    s3: Bucket,
    settings_of: SettingsOf,
    database_url: str,
    tmp_path: Path,
):
    write_dataset(s3, tmp_path / "dataset")
    settings = settings_of(s3, tmp_path / "home", database_url)
    process = start(finished.bot, settings)
    saved = 0
    while not saved:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
        for run in s3.names("bird", "runs"):
            if SNAPSHOT in s3.names("bird", "runs", run):
                saved = json.loads(s3.read("bird", "runs", run, SNAPSHOT))["latest_checkpoint_result"]["metrics"][
                    "step"
                ]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (run,) = s3.names("bird", "runs")
    with settings.connect() as connection:
        assert runs.find(connection, "bird").state == "running"  # as far as anybody knows
        connection.execute("UPDATE leases SET expires_at = clock_timestamp()")
        assert runs.find(connection, "bird").state == "interrupted"
    s3.write(b"half of it", "bird", "runs", run, "checkpoint_00000059", "state.pt")

    process = start(finished.bot, settings)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert err.splitlines()[0] == f"run 1 of bird, {run}"  # and not the second one
    resumed = int(err.splitlines()[2].rpartition("going on from step ")[2])
    assert saved <= resumed < 60
    trained = train(finished.bot, settings)
    assert trained.id == run
    assert steps_of(s3, "bird", run) == [40, 50]  # train.keep_checkpoints
    with settings.connect() as connection:
        (kept,) = runs.list_runs(connection, "bird", 9)
        assert (kept.number, kept.state, kept.model) == (1, "done", run)
        assert sum(line.line == f"run 1 of bird, {run}" for line in runs.lines(connection, kept)) == 2
    # It learnt what the run learnt that nobody killed.
    undisturbed = history_of(finished.bucket, finished.bucket.names("bird", "models")[-1])
    history = history_of(s3, run)
    assert [row["step"] for row in history] == list(range(61))
    assert [row["loss"] for row in history[1:]] == pytest.approx([row["loss"] for row in undisturbed[1:]], rel=1e-4)
    assert trained.metrics["dev_loss"] == pytest.approx(undisturbed[-1]["dev_loss"], rel=1e-4)


@pytest.mark.parametrize(
    "damage",
    [b"", b'{"checkpoint_results": [', b'{"checkpoint_results": [{"checkpoint_dir_name": "checkpoint_00000007"}]}'],
)
def test_a_run_whose_record_is_damaged_starts_over(damage: bytes, bucket: Bucket):
    bucket.write(b"x", "bird", "runs", "1", "checkpoint_00000005", "state.pt")
    bucket.write(damage, "bird", "runs", "1", SNAPSHOT)
    mend(bucket, "bird", "1")
    assert bucket.names("bird", "runs", "1") == []


def test_a_loss_that_is_no_number_is_one_line(
    make_bot: MakeBot, write_dataset: WriteDataset, bucket: Bucket, tmp_path: Path
):
    dataset = write_dataset(bucket, tmp_path / "dataset", dev=[])
    settings = make_bot(learning_rate=1e30, warmup_fraction=0, precision="bf16").train
    job = Job("bird", dataset, "1", None, bucket, tmp_path, settings, 1, MagicMock())
    here = TorchTrainer(work, train_loop_config={"job": job}, scaling_config=ScalingConfig(num_workers=0))
    with pytest.raises(MynahError) as error:
        here.fit()
    assert re.fullmatch(
        r"training bird went astray: the loss of step \d+ is (nan|inf); "
        r"lower train.learning_rate \(now 1e\+30\) or set train.precision to fp32",
        str(error.value),
    )


def test_what_failed_first_is_told_in_one_line():
    silence = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:5\nand more")
    for causes, told in {
        (silence, MynahError("training bird went astray")): "training bird went astray",
        (silence, OSError(errno.ENOSPC, "No space left on device")): "[Errno 28] No space left on device",
        (silence, ValueError("a bug\nin two lines")): "training bird failed: ValueError: a bug; the next call goes on"
        " from the last checkpoint; logs: /logs",
        (silence, ActorDiedError()): "training bird failed: a worker was killed, as happens when memory runs out"
        " (lower train.batch_size); the next call goes on from the last checkpoint; logs: /logs",
    }.items():
        failures = {rank: UserExceptionWithTraceback(cause, "stack") for rank, cause in enumerate(causes)}
        assert str(root_cause(WorkerGroupError("2 failed", failures), "bird", "/logs")) == told


def test_too_few_tokens_for_a_row_says_so_before_ray_starts(
    make_bot: MakeBot,
    write_dataset: WriteDataset,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("training.driver.fit", lambda *_: pytest.fail("Ray was started"))
    write_dataset(settings.bucket, tmp_path / "dataset", train=["Too short a text.", "And one more."])
    with pytest.raises(MynahError, match=r"^bot bird has 13 tokens.*train\.block_size: 32.*lower train\.block_size$"):
        train(make_bot(), settings)


def test_no_dataset_says_what_to_run(make_bot: MakeBot, settings: Settings):
    with pytest.raises(MynahError, match="run `mynah dataset bird`"):
        train(make_bot(), settings)
