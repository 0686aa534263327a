"""What the tests of a cluster's promotions share: the stand-in, and three models, each compared with the others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import judging
from jobs.kubernetes import rollout
from jobs.kubernetes.client import Cluster
from jobs.kubernetes.rollout import InferenceService
from mynah.bot import Bot, Promote
from mynah.bucket import Bucket
from tests.jobs.kubernetes.stand_in import StandIn, cluster_at, running

OLD, NOW, NEW = "20260101T000000-old", "20260102T000000-now", "20260103T000000-new"
LOSSES = {OLD: 1.02, NOW: 1.0, NEW: 0.99}  # nats per character


@pytest.fixture
def stand_in(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The cluster, whose InferenceService serves NOW."""
    with running() as state:
        state.bucket = bucket.url
        state.model = state.answers = NOW
        monkeypatch.setenv("HTTP_PROXY", state.url)
        monkeypatch.setattr(judging, "REQUESTS", 2)
        monkeypatch.setattr(judging, "PAUSE", 0.01)
        monkeypatch.setattr(rollout, "POLL", 0.01)
        yield state


@pytest.fixture
def cluster(stand_in: StandIn) -> Cluster:
    return cluster_at(stand_in.url)


@pytest.fixture
def bot(bot: Bot) -> Bot:
    """It never finds a model too slow: the stand-in may be as slow as it likes."""
    return bot.model_copy(update={"promote": Promote(max_slowdown=1000)})


@pytest.fixture
def service(cluster: Cluster, bot: Bot, bucket: Bucket) -> InferenceService:
    return InferenceService(cluster, bot, bucket)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    """OLD, NOW and NEW, each a little better than the one before."""
    bucket = Bucket(f"file://{tmp_path}/bucket")
    for id, loss in LOSSES.items():
        publish(bucket, tmp_path, id, dev_loss=3 * loss)
        for other, others in LOSSES.items():
            compare(bucket, id, other, loss, others)
    return bucket


def publish(bucket: Bucket, folder: Path, id: str, dev_loss: float | None = 3.0, untuned: float | None = 4.0) -> None:
    """A model of nothing but its manifest."""
    empty = folder / id
    empty.mkdir()
    manifest: dict[str, Any] = {"id": id, "metrics": {"dev_loss": dev_loss, "dev_loss_untuned": untuned}}
    bucket.publish(empty, manifest, "demo", "models", id)


def compare(bucket: Bucket, id: str, other: str, loss: float, others: float) -> None:
    """What `mynah evaluate` would write."""
    figures = {"dev_nats_per_character": loss, "current_dev_nats_per_character": others}
    bucket.write(json.dumps(figures).encode(), "demo", "evaluations", id, f"{other}.json")
