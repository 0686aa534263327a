"""A run's checkpoints in the bucket, <bot>/runs/<run>/checkpoint_<step>/: written whole, gone on from, mended.

The last one is the finished model: a Hugging Face folder beside the state, so that the driver needs no base model.
"""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray.train
from pyarrow import fs
from ray.train import Checkpoint, CheckpointUploadMode

from mynah.bucket import Bucket
from training.lora import save_whole
from training.progress_board import Job

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

STATE = "state.pt"
SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray Train's record of a run's whole checkpoints


def save(
    job: Job,
    state: dict[str, Any],
    rank: int,
    finished: "tuple[PreTrainedModel, PreTrainedTokenizerFast] | None" = None,
) -> None:
    """Write the checkpoint straight into the bucket, then report it: Ray's record knows only whole ones.

    `finished` are the model and the tokenizer, after the last step.
    """
    import torch
    from transformers import GenerationConfig

    name = f"checkpoint_{state['step']:08d}"
    checkpoint = None
    if rank == 0:
        filesystem, path = job.bucket.filesystem, job.bucket.path(job.bot, "runs", job.run, name)
        filesystem.create_dir(path)
        if finished:
            # Some bases' own cannot be saved, and publishing writes the bot's.
            finished[0].generation_config = GenerationConfig()
        with tempfile.TemporaryDirectory() as folder:
            if finished:
                model, tokenizer = finished
                save_whole(model, Path(path if job.bucket.is_local else folder))
                tokenizer.save_pretrained(path if job.bucket.is_local else folder)
            if not job.bucket.is_local:
                local = fs.LocalFileSystem()
                fs.copy_files(folder, path, source_filesystem=local, destination_filesystem=filesystem)
        with filesystem.open_output_stream(f"{path}/{STATE}") as stream:
            torch.save(state, stream)
        checkpoint = Checkpoint(path, filesystem)
    ray.train.report(
        {"step": state["step"]},
        checkpoint=checkpoint,
        checkpoint_dir_name=name,
        checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
    )


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
