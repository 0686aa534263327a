"""Ray, up for one training: this machine's own, started and ended here, or the cluster that RAY_ADDRESS names."""

import ctypes
import importlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# Read by ray when it is imported: nothing is reported to its makers, and a worker without a GPU warns of nothing.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # how soon the end of the workers is seen

import psutil
import ray

from mynah.bot import Train
from mynah.errors import MynahError
from training.phases import Phases, timed

OBJECT_STORE = 100 << 20  # bytes of shared memory: nothing large goes through it


@dataclass(frozen=True)
class Resources:
    """How many workers there are at the most, and what each gets."""

    workers: int
    gpu: bool
    cores: float
    """Of a worker without a GPU."""
    threads: int | None
    """None on a GPU."""
    logs: str
    """Where Ray's logs lie."""


def is_local() -> bool:
    """Whether Ray is this machine's own."""
    return "RAY_ADDRESS" not in os.environ


@contextmanager
def ray_session(train: Train, python: str, phases: Phases) -> Iterator[Resources]:
    """Ray, up and quiet, while the block runs. Raises MynahError where it has too few GPUs for `train`'s workers.

    `python` is what its processes on this machine are started with (see training.forkserver).
    """
    warnings.filterwarnings("ignore", module="ray")
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address := os.environ.get("RAY_ADDRESS"):
        with timed(phases, "Ray's start"), _importing_trainer():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        try:
            yield _share(train, f"those of the cluster {address}")
        finally:
            with timed(phases, "Ray's end"):
                ray.shutdown()
        return
    # Ray's sockets lie below this folder, and a socket's path is short: no TMPDIR.
    folder = tempfile.mkdtemp(prefix="mynah-ray-", dir="/tmp")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # nobody takes this machine away
    logs = f"{folder}/session_latest/logs"
    keep = False
    _adopt_orphans()
    earlier = psutil.Process().children()
    try:
        with timed(phases, "Ray's start"), _importing_trainer(), _python(python):
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                _temp_dir=folder,
                _node_ip_address="127.0.0.1",
                logging_level=logging.ERROR,
                log_to_driver=False,
                _system_config={"prestart_worker_first_driver": False},  # a fork is there at once
            )
        yield _share(train, logs)
    except MynahError as error:
        keep = logs in str(error)
        raise
    finally:
        with timed(phases, "Ray's end"):
            ray.shutdown()
            _end_children(earlier)
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _python(program: str) -> Iterator[None]:
    """Have Ray start its workers with `program`."""
    python, sys.executable = sys.executable, program
    try:
        yield
    finally:
        sys.executable = python


@contextmanager
def _importing_trainer() -> Iterator[None]:
    """Import what the driver needs of Ray Train while Ray's processes start: both take seconds."""
    thread = threading.Thread(target=importlib.import_module, args=("training.trainer",))
    thread.start()
    try:
        yield
    finally:
        thread.join()


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


def _share(train: Train, logs: str) -> Resources:
    """A GPU per worker where there are GPUs, else an equal share of the cores."""
    fewest, most = train.fewest_workers, train.most_workers
    alone = is_local()  # no other machine will come
    if gpus := int(ray.cluster_resources().get("GPU", 0)):
        if gpus < fewest:
            raise MynahError(f"train.workers is {train.workers}, and there are {gpus} GPUs: ask for {gpus} at most")
        return Resources(min(most, gpus) if alone else most, True, 0, None, logs)
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    workers = max(fewest, min(most, sum(nodes))) if alone else most
    for cores in range(max(nodes, default=0), 0, -1):
        if sum(node // cores for node in nodes) >= workers:
            return Resources(workers, False, cores, cores, logs)
    # More workers than cores, or a cluster that has yet to grow.
    return Resources(workers, False, sum(nodes) / workers if alone else 1, 1, logs)
