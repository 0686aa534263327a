"""What is decided about a model before a canary of it runs; the rest is tested on a cluster (tests/cluster)."""

from pathlib import Path
from typing import Any

import pytest

from jobs.promote import Memory, promote, rollback
from mynah.bot import Bot, Serve
from mynah.bucket import Bucket
from mynah.errors import MynahError


class Cluster:
    """Stands for a cluster in which an InferenceService serves `model`; whoever changes it fails the test."""

    namespace = "bots"

    def __init__(self, model: str) -> None:
        self.model = model

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name},
            "spec": {"predictor": {"model": {"storageUri": f"s3://b/{name}/models/{self.model}"}}},
        }


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    bucket = Bucket(f"file://{tmp_path}/bucket")
    for id, dataset, base, before, after in (
        ("20260101T000000-good", "d1", "small", 4.0, 3.0),
        ("20260102T000000-same", "d1", "small", 4.0, 3.05),
        ("20260103T000000-worse", "d1", "small", 4.0, 3.2),
        ("20260104T000000-other", "d2", "small", 4.5, 4.0),
        ("20260105T000000-nothing", "d2", "small", 4.5, 4.5),
    ):
        folder = tmp_path / id
        folder.mkdir()
        (folder / "weights").write_text(id)
        manifest = {"id": id, "dataset": dataset, "base": base}
        bucket.publish(
            folder, {**manifest, "metrics": {"dev_loss": after, "dev_loss_untuned": before}}, "demo", "models", id
        )
    return bucket


def test_a_model_that_learnt_nothing_is_refused_and_remembered(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    with pytest.raises(MynahError, match=r"20260101T000000-good goes on serving demo: its dev loss, 4.500 .*"):
        promote(bot, bucket, cluster)
    assert Memory.read(bucket, "demo").refused == ("20260105T000000-nothing",)
    again = promote(bot, bucket, cluster)
    assert not again.changed
    assert "was refused before; `mynah promote demo 20260105T000000-nothing` tries again" in again.summary()


def test_a_model_worse_than_the_serving_one_is_refused(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    with pytest.raises(MynahError, match=r"dev loss, 3.200 .*, serving 3.000 .*, is worse"):
        promote(bot, bucket, cluster, "20260103T000000-worse")


@pytest.mark.parametrize("model", ["20260102T000000-same", "20260104T000000-other"])
def test_a_model_no_worse_or_not_comparable_goes_on_to_the_canary(bot: Bot, bucket: Bucket, model: str) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    with pytest.raises(AttributeError, match="patch"):
        promote(bot, bucket, cluster, model)


def test_force_passes_over_the_loss(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    with pytest.raises(AttributeError, match="patch"):
        promote(bot, bucket, cluster, "20260103T000000-worse", force=True)


def test_what_serves_already_is_left_alone(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260105T000000-nothing")
    assert promote(bot, bucket, cluster).summary() == "demo serves 20260105T000000-nothing already"


def test_no_such_model(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("none")
    with pytest.raises(MynahError, match=r"demo/models/typo has no model.json"):
        promote(bot, bucket, cluster, "typo")


def test_a_model_named_in_the_values_is_the_values_business(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    named = bot.model_copy(update={"serve": Serve(model="20260101T000000-good")})
    with pytest.raises(MynahError, match=r"serve.model of bot demo says how it is served"):
        promote(named, bucket, cluster)


def test_nothing_to_roll_back_to(bot: Bot, bucket: Bucket) -> None:
    cluster: Any = Cluster("20260101T000000-good")
    with pytest.raises(MynahError, match="no model to go back to"):
        rollback(bot, bucket, cluster)
