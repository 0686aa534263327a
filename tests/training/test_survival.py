"""Workers that die, and storage that is not there: the run goes on, or can be gone on with."""

import os
import random
import re
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from moto.server import ThreadedMotoServer
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.training.conftest import Finished
from tests.training.trainer import history_of, start
from training.failures import DEATHS, Patience
from training.kept import SNAPSHOT

KILLS = int(os.environ.get("MYNAH_TEST_KILLS", "3"))
WORKER = "ray::RayTrainWorker"  # the beginning of its command line
SEED = random.randrange(2**32)


class Board:
    """In place of the actor that the driver reads."""

    def __init__(self) -> None:
        self.show, self.row = self, {}

    def remote(self, **row: object) -> None:
        self.row |= row


def workers_of(pid: int) -> list[psutil.Process]:
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.cmdline()[:1] and child.cmdline()[0].startswith(WORKER):
                    found.append(child)
    return found


def checkpoints(bucket: Bucket) -> list[Path]:
    """The checkpoints that anybody can see."""
    return [
        folder
        for run in bucket.names("bird", "runs")
        for folder in Path(bucket.path("bird", "runs", run)).glob("c*_0*")
    ]


@contextmanager
def nothing_half_is_seen(bucket: Bucket) -> Iterator[None]:
    """While the block runs, look all the time at what a reader of the bucket sees."""
    halves, stop = [], threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            for folder in checkpoints(bucket):
                file = folder / "state.pt"
                # One that is being deleted has none: another was recorded before it.
                if file.exists() and not zipfile.is_zipfile(file) and file.exists():
                    halves.append(folder)
            for manifest in bucket.manifests("bird", "models"):
                for name, facts in manifest["files"].items():
                    if Path(bucket.path("bird", "models", manifest["id"], name)).stat().st_size != facts["bytes"]:
                        halves.append(name)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert halves == []


@pytest.mark.slow
def test_a_run_whose_workers_are_killed_learns_what_the_undisturbed_one_learns(
    finished: Finished,
    write_dataset: Callable[..., str],
    settings_of: Callable[[Bucket, Path, str], Settings],
    database_url: str,
    tmp_path: Path,
):
    bucket, steps, dice = Bucket(f"file://{tmp_path}/bucket"), finished.bot.train.max_steps, random.Random(SEED)
    write_dataset(bucket, tmp_path / "dataset")
    killed = []
    with nothing_half_is_seen(bucket):
        process = start(finished.bot, settings_of(bucket, tmp_path / "home", database_url))
        for kill in range(KILLS):
            # The first before there is any checkpoint, the others over the run.
            while kill and not any(
                int(folder.name[-8:]) >= steps * kill / KILLS / 1.2 for folder in checkpoints(bucket)
            ):
                assert process.poll() is None, f"seed {SEED}: {process.stderr.read()}"
                time.sleep(0.02)
            while not (workers := [worker for worker in workers_of(process.pid) if worker.pid not in killed]):
                assert process.poll() is None, f"seed {SEED}: {process.stderr.read()}"
                time.sleep(0.02)
            worker = dice.choice(workers)
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)
        _, err = process.communicate()
    assert process.returncode == 0, f"seed {SEED}: {err}"
    assert len(killed) == KILLS
    (model,) = bucket.names("bird", "models")
    undisturbed = history_of(finished.bucket, finished.bucket.names("bird", "models")[-1])
    history = history_of(bucket, model)
    assert [row["step"] for row in history] == list(range(steps + 1))
    assert [row["loss"] for row in history[1:]] == pytest.approx([row["loss"] for row in undisturbed[1:]], rel=1e-4)
    assert f"{history[-1]['dev_loss']:.3f}" == f"{undisturbed[-1]['dev_loss']:.3f}"
    assert "a worker died: another goes on from" in err


def test_a_run_whose_workers_die_again_and_again_ends_and_says_so():
    board = Board()
    patience = Patience("bird", "/logs", board)
    killed = {1: WorkerHealthCheckFailedError("a check failed", ActorDiedError())}
    for _ in range(DEATHS - 1):
        patience.after_exception(None, killed)
    patience.after_report(None, [{"step": 20}], object())
    assert board.row == {"deaths": DEATHS - 1, "saved": 20}
    for _ in range(DEATHS - 1):
        patience.after_exception(None, killed)
    with pytest.raises(MynahError, match=r"died 5 times since the checkpoint of step 20, .*lower train\.batch_size"):
        patience.after_exception(None, killed)


@pytest.mark.parametrize("fault", [MynahError("training bird went astray"), OSError(28, "No space left on device")])
def test_what_would_go_wrong_again_is_not_tried_again(fault: Exception):
    silence = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with pytest.raises(type(fault), match=str(fault).replace("[", r"\[")):
        Patience("bird", "/logs", Board()).after_exception(None, {0: silence, 1: fault})


@pytest.mark.slow
def test_a_bucket_that_is_gone_at_a_checkpoint_ends_the_run_which_goes_on_when_it_is_back(
    finished: Finished,
    write_dataset: Callable[..., str],
    s3_server: ThreadedMotoServer,
    s3: Bucket,
    settings_of: Callable[[Bucket, Path, str], Settings],
    database_url: str,
    tmp_path: Path,
):
    write_dataset(s3, tmp_path / "dataset")
    settings = settings_of(s3, tmp_path / "home", database_url)
    process = start(finished.bot, settings, tries=6)  # 0.8 s, instead of 100
    while not any(SNAPSHOT in s3.names("bird", "runs", run) for run in s3.names("bird", "runs")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    s3_server.stop()
    _, err = process.communicate()
    assert process.returncode == 1, err
    assert re.fullmatch(
        r"mynah: training bird stopped, as (the checkpoint of step \d+ could not be written|its checkpoint could not be"
        r" recorded): [^\n]+; `mynah train bird` goes on from the one before it",
        err.splitlines()[-1],
    )
    s3_server.start()
    assert s3.names("bird", "models") == []
    process = start(finished.bot, settings)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "going on from step " in err
    (model,) = s3.names("bird", "models")
    undisturbed = history_of(finished.bucket, finished.bucket.names("bird", "models")[-1])
    assert f"{history_of(s3, model)[-1]['dev_loss']:.3f}" == f"{undisturbed[-1]['dev_loss']:.3f}"
