"""A run's curves as TensorBoard reads them: `tensorboard --logdir FOLDER` shows a model folder, or many."""

from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from mynah.bucket import time_of

FOLDER = "runs"  # where the Hub looks for them in a model
# Of a row of a run's history, what is drawn, and under which name.
TAGS = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "tokens_per_second": "train/tokens_per_second",
    "dev_loss": "dev/loss",
    "dev_nats_per_character": "dev/nats_per_character",
}


def write_events(history: list[dict[str, Any]], run: str, folder: Path) -> None:
    """Write the `history` (see `training.worker.work`) of the run `run` to folder/runs/. Losses are in nats per token.

    The file's name and times are the run's, not this machine's.
    """
    began = time_of(run) or 0
    with SummaryWriter(str(folder / FOLDER)) as writer:
        for row in history:
            for key in TAGS.keys() & row.keys():
                writer.add_scalar(TAGS[key], row[key], row["step"], began + row.get("seconds", 0.0))
    (written,) = (folder / FOLDER).iterdir()
    written.rename(written.with_name(f"events.out.tfevents.{began}.{run}"))
