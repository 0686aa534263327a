"""Runs the training loop on Ray: this machine's own, started for the run, or the cluster that RAY_ADDRESS names."""

import ctypes
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# Read by ray when it is imported: nothing is reported to its makers, and a GPU-less worker warns of nothing.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # how soon the end of the workers is seen

import psutil
import ray
import ray.train
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.config import LoggingConfig

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.progress import progress
from training.board import Board, Job
from training.loop import read_checkpoint, work

OBJECT_STORE = 100 << 20  # bytes of shared memory: nothing large goes through it
POLL_EVERY = 0.3  # seconds between two looks at the board
RETRIES = 3  # of a failed worker, on a cluster; from the last checkpoint
SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray Train's record of a run's whole checkpoints


def fit(bot: Bot, dataset: str, run: str, bucket: Bucket, cache: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train `bot` on its dataset `dataset`, or go on with the run `run` from its last whole checkpoint.

    Returns the history (see `training.loop.work`) and the final model's state dict.
    Raises MynahError with the root cause in one line, OSError where a disk is full or read-only.
    """
    settings = bot.train
    if bucket.is_local:  # workers do not run in the folder that this process runs in
        bucket = Bucket(bucket.path())
    if Path(settings.base).is_dir():
        settings = settings.model_copy(update={"base": str(Path(settings.base).absolute())})
    _mend(bucket, bot.name, run)
    with _ray(bot.train.workers) as (scaling, threads, logs):
        each = f"{threads} thread{'s' * (threads > 1)}" if threads else "a GPU"
        _say(f"starting {bot.train.workers} worker{'s' * (bot.train.workers > 1)}, {each} each")
        board = Board.remote()
        trainer = TorchTrainer(
            work,
            train_loop_config={
                "job": Job(bot.name, dataset, run, bucket, cache.absolute(), settings, threads, board),
            },
            scaling_config=scaling,
            run_config=RunConfig(
                name=run,
                storage_path=bucket.path(bot.name, "runs"),
                storage_filesystem=bucket.filesystem,
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                failure_config=FailureConfig(max_failures=RETRIES if "RAY_ADDRESS" in os.environ else 0),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )
        try:
            result = _watch(trainer, board, bot.name)
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            raise _root_cause(error, bot.name, logs) from error
        return result.return_value, read_checkpoint(result.checkpoint)["model"]


def _watch(trainer: TorchTrainer, board: Any, bot: str) -> ray.train.Result:
    """Run `trainer` in a thread (so that Ctrl-C stays ours) and show how far it has come."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = trainer.fit()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    row: dict[str, Any] = {}
    try:
        while thread.is_alive() and "steps" not in row:
            thread.join(POLL_EVERY)
            row = ray.get(board.read.remote())
        if "steps" in row:
            _say(
                f"training {bot}: {row['steps']:,} steps, {row['tokens']:,} tokens in {row['rows']:,} rows"
                + (f", going on from step {row['step']:,}" if row["step"] else "")
            )
            with progress("training", row["steps"]) as advance:
                while thread.is_alive():
                    thread.join(POLL_EVERY)
                    last, row = row, ray.get(board.read.remote())
                    if row != last:
                        advance(row["step"], _note(row))
    except KeyboardInterrupt:
        kept = f"goes on from step {row['saved']:,}" if row.get("saved") else "starts over: no checkpoint was due yet"
        raise MynahError(f"training stopped; `mynah train {bot}` {kept}") from None
    if error := outcome.get("error"):
        raise error
    return outcome["result"]


def _note(row: dict[str, Any]) -> str:
    parts = []
    if "loss" in row:
        parts.append(f"loss {row['loss']:.3f}")
    parts.append(f"dev {row['dev_loss']:.3f}" if "dev_loss" in row else "measuring the untuned model")
    if "tokens_per_second" in row:
        parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    return " · ".join(parts)


@contextmanager
def _ray(workers: int) -> Iterator[tuple[ScalingConfig, int | None, str]]:
    """Ray, up and quiet: what each worker gets, its threads (None on a GPU), and where Ray's logs lie."""
    warnings.filterwarnings("ignore", module="ray")
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, **quiet)
        try:
            yield *_share(workers), f"those of the cluster {address}"
        finally:
            ray.shutdown()
        return
    # Ray's sockets lie below this folder, and a socket's path is short: no TMPDIR.
    folder = tempfile.mkdtemp(prefix="mynah-ray-", dir="/tmp")
    logs = f"{folder}/session_latest/logs"
    keep = False
    _adopt_orphans()
    earlier = psutil.Process().children()
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
        yield *_share(workers), logs
    except MynahError as error:
        keep = logs in str(error)
        raise
    finally:
        ray.shutdown()
        _end_children(earlier)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _adopt_orphans() -> None:
    """On Linux: have the processes that our children leave behind become our own children."""
    if sys.platform == "linux":
        PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _end_children(but: list[psutil.Process]) -> None:
    """Kill all children of this process but those of `but`.

    Ray's agents, where they have only just started when Ray is shut down, would look for it for another minute.
    """
    while left := [child for child in psutil.Process().children() if child not in but]:
        for child in left:
            with suppress(psutil.NoSuchProcess):  # Ray may have seen its end already
                child.kill()
        psutil.wait_procs(left, timeout=5)


def _share(workers: int) -> tuple[ScalingConfig, int | None]:
    """A GPU a worker where there are GPUs, else an equal share of the cores; and a worker's threads."""
    total = ray.cluster_resources()
    if gpus := int(total.get("GPU", 0)):
        if gpus < workers:
            raise MynahError(f"train.workers is {workers}, and there are {gpus} GPUs: lower train.workers to {gpus}")
        return ScalingConfig(num_workers=workers, use_gpu=True), None
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    for cores in range(max(nodes, default=0), 0, -1):
        if sum(node // cores for node in nodes) >= workers:
            return ScalingConfig(num_workers=workers, resources_per_worker={"CPU": cores}), cores
    # More workers than cores, or a cluster that has yet to grow.
    share = sum(nodes) / workers if "RAY_ADDRESS" not in os.environ else 1
    return ScalingConfig(num_workers=workers, resources_per_worker={"CPU": share}), 1


def _mend(bucket: Bucket, bot: str, run: str) -> None:
    """Leave of a killed run what Ray Train can go on from: its record and the checkpoints named there."""
    names = bucket.names(bot, "runs", run)
    try:
        record = json.loads(bucket.read(bot, "runs", run, SNAPSHOT))
        kept = {result["checkpoint_dir_name"] for result in record["checkpoint_results"]}
    except FileNotFoundError:
        kept = set()
    except (ValueError, KeyError, TypeError):  # killed while it was written
        kept = set()
        bucket.filesystem.delete_file(bucket.path(bot, "runs", run, SNAPSHOT))
    if not kept <= set(names):
        kept = set()
        bucket.filesystem.delete_file(bucket.path(bot, "runs", run, SNAPSHOT))
    for name in names:
        if name.startswith("checkpoint_") and name not in {*kept, SNAPSHOT}:
            bucket.delete(bot, "runs", run, name)


def _root_cause(error: Exception, bot: str, logs: str) -> Exception:
    """Why training failed, in one line: an exception of ours or of the disk before what followed from it."""
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    causes = [getattr(failure, "_base_exc", failure) for _, failure in sorted(failures.items())]
    for kind in (MynahError, OSError):
        for cause in causes:
            if isinstance(cause, kind) and not isinstance(cause, ConnectionError):
                return cause
    # When one worker dies, the others fail on its silence.
    causes.sort(key=lambda cause: "gloo" in str(cause).lower() or "nccl" in str(cause).lower())
    cause = causes[0]
    what = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no message")
    if isinstance(cause, ray.exceptions.RayActorError):
        what = "a worker was killed, as happens when memory runs out (lower train.batch_size)"
    elif not isinstance(cause, ray.exceptions.RayError):
        what = f"{type(cause).__name__}: {what}"
    return MynahError(f"training {bot} failed: {what}; the next call goes on from the last checkpoint; logs: {logs}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
