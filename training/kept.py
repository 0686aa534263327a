"""A run's checkpoints: their names, which of them are whole, and which stay when its model is published."""

import json
import re
from typing import Any

from pyarrow import fs

from mynah.bucket import Bucket

STATE = "state.pt"
SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray Train's record of a run's whole checkpoints
_NAME = re.compile(r"checkpoint_(\d+)", re.ASCII)


def name_of(step: int) -> str:
    """The folder of a step's checkpoint."""
    return f"checkpoint_{step:08d}"


def steps_of(bucket: Bucket, bot: str, run: str) -> list[int]:
    """The steps of a run's whole checkpoints, the oldest first."""
    names = bucket.names(bot, "runs", run)
    if bucket.manifest(bot, "models", run) is None:  # else what stays is whole, and has no record any more
        try:
            record = json.loads(bucket.read(bot, "runs", run, SNAPSHOT))
            whole = {result["checkpoint_dir_name"] for result in record["checkpoint_results"]}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return []
        names = [name for name in names if name in whole]
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def unneeded(bucket: Bucket, bot: str, manifest: dict[str, Any]) -> list[str]:
    """What of a run its published model, of this manifest, needs no more.

    What stays are the newest train.keep_checkpoints before the last one, which is the model itself.
    """
    number = manifest.get("parameters", {}).get("keep_checkpoints", 0)
    names = bucket.names(bot, "runs", manifest["id"])
    last = name_of(manifest["metrics"]["steps"])
    before = [name for name in names if _NAME.fullmatch(name) and name != last]
    return sorted(set(names) - set(before[-number:] if number else ()))


def tidy(bucket: Bucket, bot: str, manifest: dict[str, Any]) -> None:
    """Delete what is `unneeded`."""
    run = manifest["id"]
    going = unneeded(bucket, bot, manifest)
    if going == bucket.names(bot, "runs", run):
        bucket.delete(bot, "runs", run)
        return
    for name in going:
        path = bucket.path(bot, "runs", run, name)
        if bucket.filesystem.get_file_info(path).type == fs.FileType.File:
            bucket.filesystem.delete_file(path)
        else:
            bucket.delete(bot, "runs", run, name)
