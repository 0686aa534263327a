"""Runs side by side: one with a model, one that was stopped, in one picture and one table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import leases, runs
from mynah.database.connection import Connection
from mynah.errors import UsageError
from mynah.settings import Settings
from training.compare import compare

HISTORY: list[dict[str, Any]] = [
    {"step": 0, "dev_loss": 4.0},
    {"step": 1, "loss": 3.5, "learning_rate": 1e-4},
    {"step": 2, "loss": 3.25, "learning_rate": 5e-5, "dev_loss": 3.0},
]
METRICS = {"dev_loss_untuned": 4.0, "dev_loss": 3.0, "steps": 1200, "tokens_per_second": 108.4, "cost_usd": 0.5}


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(f"file://{tmp_path}/bucket")


@pytest.fixture
def settings(
    bucket: Bucket, tmp_path: Path, database_url: str, settings_of: Callable[[Bucket, Path, str], Settings]
) -> Settings:
    return settings_of(bucket, tmp_path / "home", database_url)


@pytest.fixture
def bot() -> Bot:
    return Bot(name="bird", sources={"s": {"kind": "file", "url": "unused.txt"}})


def begin(connection: Connection, id: str) -> runs.Run:
    assert leases.take(connection, id, "here:1 0", 60)
    return runs.begin(
        connection, "bird", id, "train", lease=id, holder="here:1 0", host="here", dataset="1", base="tiny"
    )


def finish(connection: Connection, bucket: Bucket, id: str, folder: Path, **parameters: object) -> None:
    run = begin(connection, id)
    folder.mkdir()
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HISTORY))
    bucket.publish(folder, {"parameters": parameters}, "bird", "models", id)
    runs.end(connection, run, "done", metrics=METRICS)


def test_what_differs_is_told(
    bot: Bot, settings: Settings, bucket: Bucket, connection: Connection, tmp_path: Path
) -> None:
    finish(connection, bucket, "a", tmp_path / "a", learning_rate=1e-4, seed=0)
    finish(connection, bucket, "b", tmp_path / "b", learning_rate=3e-4, seed=0)
    compared = compare(bot, settings, ["1", "b"])
    assert compared.keys == {"learning_rate": [1e-4, 3e-4]}
    lines = compared.summary().splitlines()
    assert [line.split() for line in lines if line.startswith("dev loss ")] == [["dev", "loss", "3.000", "3.000"]]
    assert [line.split() for line in lines if line.startswith("steps")] == [["steps", "1,200", "1,200"]]
    assert any(line.split() == ["train.learning_rate", "0.0001", "0.0003"] for line in lines)
    picture = matplotlib.image.imread(compared.plot)
    assert picture.shape[:2] == (720, 960)
    assert lines[-1] == f"plot: {tmp_path}/home/plots/bird-runs-1-2.png"


def test_one_that_has_no_model_yet_is_taken_as_far_as_it_is(
    bot: Bot, settings: Settings, bucket: Bucket, connection: Connection, tmp_path: Path
) -> None:
    finish(connection, bucket, "a", tmp_path / "a")
    run = begin(connection, "b")
    with pytest.raises(UsageError, match=r"run 2 of bird \(running\) has no step yet"):
        compare(bot, settings, ["1", "2"])
    runs.tell(connection, run, [], [{"step": 700, "steps": 1200, "loss": 3.4, "dev_loss": 3.6}], 60)
    compared = compare(bot, settings, ["1", "2"])
    assert (compared.figures["steps"], compared.figures["dev loss"]) == ([1200, 700], [3.0, 3.6])
    assert compared.keys == {}


def test_a_run_is_not_compared_with_itself(bot: Bot, settings: Settings, connection: Connection) -> None:
    begin(connection, "a")
    for names in (["1"], ["1", "a"]):
        with pytest.raises(UsageError, match="name two runs to compare"):
            compare(bot, settings, names)
