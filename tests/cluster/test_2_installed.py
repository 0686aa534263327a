"""A fresh installation is ready and whole, and no part of it is root."""

import json
import time
from typing import Any

import pytest
import yaml

from tests.cluster import kube
from tests.cluster.conftest import Training
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, get, helm, kubectl, run

# Kinds of operators that need not be on the cluster.
ABSENT = {"PodMonitor", "PrometheusRule", "Cluster"}


def test_everything_is_ready(release: str) -> None:
    pods = json.loads(kubectl(release, "get", "pods", "-o", "json"))["items"]
    states = {pod["metadata"]["name"]: kube.is_ready(pod) or pod["status"]["phase"] == "Succeeded" for pod in pods}
    assert len(states) >= 5  # Postgres, store, simulator, model server, prepare
    assert all(states.values()), states
    assert kube.condition(get(release, "inferenceservice", BOT), "Ready")


def test_helm_test_passes(release: str, figures: dict[str, str]) -> None:
    begin = time.monotonic()
    said = helm(release, "test", RELEASE, "--timeout=8m")
    figures["helm test"] = f"{time.monotonic() - begin:.0f} s"
    assert said.count("Phase:          Succeeded") == 3, said


def test_the_namespace_is_restricted_and_no_container_may_be_root(release: str) -> None:
    labels = get("default", "namespace", release)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in json.loads(kubectl(release, "get", "pods", "-o", "json"))["items"]:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            if container["name"] != "storage-initializer":  # KServe's
                assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("part", ["jobs", "training", "serving"])
def test_our_images_have_a_numeric_user_that_is_not_root(images: dict[str, str], part: str) -> None:
    config, _ = kube.inspect_image(images[part])
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"] == f"mynah {part}"


VARIANTS = {
    "local": [],
    "all by the clock": [f"bots.{BOT}.ray.schedule=0 2 * * 0", f"bots.{BOT}.promote.schedule=0 5 * * *"],
    "GPU": [
        *(f"bots.{BOT}.ray.accelerator=gpu", f"bots.{BOT}.train.workers=2", "training.gpuNodeSelector.pool=gpu"),
        *(f"bots.{BOT}.serve.accelerator=gpu", f"bots.{BOT}.serve.model=20260101T000000-00000000"),
    ],
    "accounts": [  # of a second bot, as the first has `post`
        *("bots.herald.sources.news.url=https://example.org/news.txt", "bots.herald.accounts.tryout.kind=outbox"),
        *("bots.herald.accounts.news.kind=x", "bots.herald.accounts.news.secret=news"),
        *("bots.herald.accounts.spare.kind=x", "bots.herald.accounts.spare.env=SPARE_"),
    ],
    "cloud": [
        *("postgres.kind=external", "postgres.secret=url", "store.kind=s3", "store.secret=keys"),
        *(f"bots.{BOT}.post.secret=account", f"bots.{BOT}.serve.max_replicas=3", "priority.create=true"),
    ],
    "play": [
        *("play.enabled=true", "play.replicas=2", "play.service.type=LoadBalancer", "play.ingress.className=nginx"),
        *("play.ingress.hosts[0]=play.example.org", "play.ingress.tlsSecret=play-tls"),
    ],
    "monitoring": ["monitoring.podMonitor=true", "monitoring.rules=true", "monitoring.dashboard=true"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_cluster_takes_every_object_without_a_warning(empty: str, variant: str) -> None:
    """Server-side, field by field, against KServe's and KubeRay's own definitions."""
    flags = [f"--set={flag}" for flag in VARIANTS[variant]]
    rendered = helm(empty, "template", RELEASE, CHART, *VALUES, *flags, "--skip-tests")
    objects = [thing for thing in yaml.safe_load_all(rendered) if thing and thing["kind"] not in ABSENT]
    jobs = [yaml.safe_load(thing["data"]["rayjob.yaml"]) for thing in objects if "rayjob.yaml" in thing.get("data", {})]
    assert {thing["kind"] for thing in objects} >= {"InferenceService", "ServingRuntime", "CronJob"}
    assert {job["kind"] for job in jobs} == {"RayJob"}
    assert dry_run(empty, "apply", "--server-side", objects) == ""
    assert dry_run(empty, "create", jobs) == ""


def dry_run(namespace: str, *command: Any) -> str:
    """What the API server warns of."""
    *verb, objects = command
    text = yaml.safe_dump_all(objects)
    return str(run("kubectl", "-n", namespace, *verb, "--dry-run=server", "-f", "-", stdin=text).stderr)


def test_scraping_once_more_adds_nothing(release: str, training: Training) -> None:
    """The first time, the training's fixture has scraped; from now on the Ray cluster is at work."""
    lines = [line for line in kube.run_job(release, "scrape").splitlines() if "documents" in line]
    assert len(lines) == 5
    assert all(line.endswith(", 0 new") for line in lines), lines
