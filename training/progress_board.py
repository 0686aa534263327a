"""What the driver and the workers share. Ray's controller and the board's process import this, and no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from mynah.bot import Generate, Train
from mynah.bucket import Bucket


@dataclass(frozen=True)
class Job:
    """What the workers are told."""

    bot: str
    dataset: str
    run: str
    current: str | None
    """The model that the new one is compared with; None where the bot has none yet."""
    bucket: Bucket
    cache: Path
    train: Train
    threads: int | None
    """Threads of a worker; None on a GPU."""
    board: Any
    """The `Board` actor."""
    generate: Generate = field(default_factory=Generate)
    """How texts are sampled while the model learns."""
    prompts: tuple[str, ...] = ()
    """What they begin with, one for each."""


@ray.remote(num_cpus=0)
class Board:
    """Where rank 0 writes how far it has come, and the driver reads it."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {}

    def show(self, **row: Any) -> None:
        self.row |= row

    def read(self) -> dict[str, Any]:
        return self.row
