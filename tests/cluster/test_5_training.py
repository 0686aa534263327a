"""A fine-tuning on a Ray cluster in Kubernetes, whose head is killed half-way, and then a worker."""

import json
from pathlib import Path

from tests.cluster import kube
from tests.cluster.conftest import Training
from tests.cluster.kube import BOT, kubectl

READ = f"""
import json, os
from mynah.bucket import Bucket
bucket = Bucket(os.environ["MYNAH_BUCKET"])
print(json.dumps({{
    "manifests": list(bucket.manifests({BOT!r}, "models")),
    "runs": bucket.names({BOT!r}, "runs"),
}}))
"""


def test_a_training_goes_on_after_its_head_and_a_worker_were_killed(
    training: Training, model: str, release: str, figures: dict[str, str]
) -> None:
    figures["training, its Ray head and a worker killed once"] = f"{training.seconds:.0f} s for 6 steps"
    assert training.killed
    assert "checkpoint_00000006" not in training.checkpoint  # it was not done yet
    kept = json.loads(kube.run_job(release, "scrape", script=READ).splitlines()[-1])
    (manifest,) = kept["manifests"]
    assert manifest["id"] == model
    assert manifest["metrics"]["steps"] == 6
    assert manifest["metrics"]["dev_loss"] < manifest["metrics"]["dev_loss_untuned"]
    assert kept["runs"] == []
    assert kube.rows(release, "SELECT name FROM leases WHERE expires_at > now()") == []  # the run is nobody's
    # One run, with the log of both heads; the second one's shows that no step was repeated.
    (run,) = kube.rows(release, "SELECT number, state, host FROM runs")
    assert (run["number"], run["state"]) == (1, "done")
    assert run["host"] != training.killed
    lines = [row["line"] for row in kube.rows(release, "SELECT line FROM run_lines ORDER BY id")]
    assert lines.count(f"run 1 of {BOT}, {model}") == 2, lines
    assert any(line.endswith("going on from step 3") for line in lines), lines
    assert training.worker
    assert "a worker died: another goes on from the checkpoint of step 3" in lines


def test_a_training_leaves_nothing_at_work(model: str, release: str) -> None:
    def left() -> list[str]:
        return kubectl(release, "get", "rayjobs,rayclusters,pods", "-l", "ray.io/cluster", "-o", "name").split()

    def rayjobs() -> str:
        return kubectl(release, "get", "rayjobs", "-o", "name")

    kube.wait("the RayJob to be removed, because it succeeded", lambda: not rayjobs())
    kube.wait("the Ray cluster to go", lambda: not left())


def test_the_model_folder_holds_what_servers_load(model: str, release: str) -> None:
    script = f"""
import os
from mynah.bucket import Bucket
print(*Bucket(os.environ["MYNAH_BUCKET"]).names({BOT!r}, "models", {model!r}))
"""
    names = set(kube.run_job(release, "scrape", script=script).split())
    assert names >= {"model.json", "config.json", "model.safetensors", "tokenizer.json", "openvino"}
    assert not any(Path(name).suffix == ".pt" for name in names)
