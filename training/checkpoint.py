"""A run's checkpoints in the bucket, <bot>/runs/<run>/checkpoint_<step>/: written whole, gone on from, mended.

The last one is the finished model: a Hugging Face folder beside the state, so that the driver needs no base model.
"""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray.train
from pyarrow import fs
from ray.train import Checkpoint, CheckpointUploadMode

from mynah.bucket import Bucket
from mynah.errors import MynahError
from training.kept import SNAPSHOT, STATE, name_of
from training.lora import save_whole
from training.progress_board import Job

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Saver:
    """Writes checkpoints while the next step is computed: on CPUs from the tensors themselves, without a copy.

    They may change again only after `wait`: before the optimizer's next step, which is what changes them.
    """

    def __init__(self, job: Job, rank: int, on_cpu: bool) -> None:
        self.job, self.rank, self.on_cpu = job, rank, on_cpu
        self.read: threading.Event | None = None

    def save(self, state: dict[str, Any]) -> None:
        """Begin to write `state`; every worker calls this. Ray's record will know it when it is whole."""
        import torch

        step = state["step"]
        if self.rank:
            _report(self.job, step, None)
            return
        copy = torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.cpu(), state)
        tensors = [copy]  # emptied once they are read: they are three times the model's size
        read = threading.Event()
        del state, copy

        def fill(folder: Path) -> None:
            try:
                torch.save(tensors.pop(), folder / STATE)
            finally:
                read.set()

        _report(self.job, step, fill)
        self.read = read if self.on_cpu else None

    def wait(self) -> None:
        """Return when what is being saved may change."""
        if self.read:
            self.read.wait()
            self.read = None


def save_finished(
    job: Job, state: dict[str, Any], rank: int, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast"
) -> None:
    """Write the checkpoint after the last step: `state` without tensors, the model and the tokenizer."""
    import torch
    from transformers import GenerationConfig

    def fill(folder: Path) -> None:
        # Some bases' own cannot be saved, and publishing writes the bot's.
        model.generation_config = GenerationConfig()
        save_whole(model, folder)
        tokenizer.save_pretrained(folder)
        torch.save(state, folder / STATE)

    _report(job, state["step"], None if rank else fill)


def _report(job: Job, step: int, fill: Callable[[Path], None] | None) -> None:
    """Have Ray Train write the checkpoint in a thread, as `fill` fills its folder, and record it after that."""
    name = name_of(step)

    def upload(checkpoint: Checkpoint, name: str) -> Checkpoint:
        assert fill  # noqa: S101 — only rank 0 has a checkpoint
        _write(job, step, fill)
        return checkpoint

    ray.train.report(
        {"step": step},
        checkpoint=Checkpoint(job.bucket.path(job.bot, "runs", job.run, name), job.bucket.filesystem) if fill else None,
        checkpoint_dir_name=name,
        checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
        checkpoint_upload_fn=upload,
        delete_local_checkpoint_after_upload=False,
    )


def _write(job: Job, step: int, fill: Callable[[Path], None]) -> None:
    """Write a checkpoint whose folder is filled by `fill`. In a local bucket, half of it is never seen."""
    bucket, name = job.bucket, name_of(step)
    if bucket.is_local:
        folder = Path(bucket.path(job.bot, "runs", job.run, name))
        partial = folder.with_name(f".{name}")
        for left in (partial, folder):  # by a worker that was killed, or whose checkpoint was never recorded
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        fill(partial)
        for file in _files(partial):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        partial.rename(folder)
        return
    with tempfile.TemporaryDirectory() as path:
        fill(Path(path))
        try:
            for file in _files(Path(path)):
                bucket.upload(file, job.bot, "runs", job.run, name, file.relative_to(path).as_posix())
        except MynahError as error:
            raise MynahError(
                f"training {job.bot} stopped, as the checkpoint of step {step:,} could not be written: {error}; `mynah"
                f" train {job.bot}` goes on from the one before it"
            ) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]  # an adapter lies in a folder of its own


def load() -> dict[str, Any]:
    """The state that this worker goes on from: step, history, seconds, model and optimizer; {} at the beginning.

    Of a finished run: step, history and compared.
    """
    import torch

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return {}
    # Not checkpoint.as_directory(): its lock lies in a folder of /tmp that belongs to whoever used Ray there first.
    with checkpoint.filesystem.open_input_file(f"{checkpoint.path}/{STATE}") as stream:
        state: dict[str, Any] = torch.load(stream, map_location="cpu", weights_only=True)
    return state


def fetch(checkpoint: Checkpoint, folder: str) -> str:
    """The local folder of a finished run's checkpoint: itself where it is local, else copied to `folder`."""
    local = fs.LocalFileSystem()
    if isinstance(checkpoint.filesystem, fs.LocalFileSystem):
        return str(checkpoint.path)
    Path(folder).mkdir()
    fs.copy_files(checkpoint.path, folder, source_filesystem=checkpoint.filesystem, destination_filesystem=local)
    return folder


def mend(bucket: Bucket, bot: str, run: str) -> None:
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
