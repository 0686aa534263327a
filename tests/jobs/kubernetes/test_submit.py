"""What is submitted to a cluster, and which training is taken for one at work."""

import json
from typing import Any

import pytest
import yaml

from jobs.kubernetes import submit
from jobs.kubernetes.client import Cluster
from mynah.errors import MynahError, UsageError
from tests.jobs.kubernetes.stand_in import StandIn

RAYJOBS = "/apis/ray.io/v1/namespaces/bots/rayjobs"
JOBS = "/apis/batch/v1/namespaces/bots/jobs"
HEAD = {"name": "ray-head", "env": [{"name": "MYNAH_USER", "value": "ray.schedule"}, {"name": "PGHOST", "value": "p"}]}
RAYJOB: dict[str, Any] = {
    "metadata": {"generateName": "demo-train-", "labels": {"mynah/bot": "demo"}},
    "spec": {
        "entrypoint": "mynah ray-job demo",
        "rayClusterSpec": {"headGroupSpec": {"template": {"spec": {"containers": [HEAD]}}}},
    },
}
CONTAINER = {"name": "promote", "args": ["promote", "demo"], "env": [{"name": "MYNAH_USER", "value": "the clock"}]}
CRONJOB: dict[str, Any] = {
    "metadata": {"name": "demo-promote"},
    "spec": {
        "schedule": "0 0 1 1 *",
        "jobTemplate": {
            "metadata": {"labels": {"mynah/bot": "demo"}},
            "spec": {"template": {"spec": {"containers": [CONTAINER]}}},
        },
    },
}


@pytest.fixture
def chart(stand_in: StandIn) -> StandIn:
    """The stand-in with what the chart makes. All that is started there succeeds at once."""
    stand_in.objects["/api/v1/namespaces/bots/configmaps/demo-training"] = {
        "data": {"rayjob.yaml": yaml.safe_dump(RAYJOB)}
    }
    stand_in.objects["/apis/batch/v1/namespaces/bots/cronjobs/demo-promote"] = CRONJOB

    def succeed(what: str) -> None:
        if what.startswith("made "):
            done = (
                {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"} if "rayjobs" in what else {"succeeded": 1}
            )
            stand_in.objects[what.removeprefix("made ")]["status"] = done
            started.append(json.loads(json.dumps(stand_in.objects[what.removeprefix("made ")])))

    started: list[dict[str, Any]] = []
    stand_in.after = succeed
    stand_in.objects["made"] = {"items": started}
    return stand_in


def made(chart: StandIn) -> list[dict[str, Any]]:
    return list(chart.objects["made"]["items"])


def test_a_promotion_runs_as_a_job_that_knows_who_asked(chart: StandIn, cluster: Cluster) -> None:
    arguments = ["promote", "demo", "--on", "kubernetes"]
    done = submit.promote("demo", arguments, cluster, "ada")
    assert done.job == "job demo-promote-1"
    (job,) = made(chart)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == arguments
    assert container["env"] == [{"name": "MYNAH_USER", "value": "ada"}]
    assert job["spec"]["backoffLimit"] == 0


def test_a_promotion_waits_for_no_other(chart: StandIn, cluster: Cluster) -> None:
    chart.objects[f"{JOBS}/demo-promote-7"] = {"metadata": {"name": "demo-promote-7"}, "status": {"active": 1}}
    with pytest.raises(MynahError, match="job demo-promote-7 is at work"):
        submit.promote("demo", ["promote", "demo"], cluster, "ada")
    assert made(chart) == []


def test_a_training_is_submitted_with_who_asked(chart: StandIn, cluster: Cluster) -> None:
    submit.train("demo", ["bots.demo.train.max_steps=5"], True, cluster, "ada")
    (job,) = made(chart)
    assert job["spec"]["entrypoint"] == "mynah ray-job demo --set=bots.demo.train.max_steps=5 --again"
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert head["env"] == [{"name": "PGHOST", "value": "p"}, {"name": "MYNAH_USER", "value": "ada"}]
    assert f"{RAYJOBS}/demo-train-1" not in chart.objects  # removed, because it succeeded


OWNER = {"kind": "RayCronJob", "name": "demo-train", "apiVersion": "ray.io/v1", "uid": "u"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"mynah/bot": "demo"}},
        {"labels": {"ray.io/cronjob-name": "demo-train"}},
        {"ownerReferences": [OWNER]},
    ],
    ids=["a person's", "KubeRay's label", "the RayCronJob's"],
)
def test_a_training_at_work_is_followed_whoever_made_it(
    metadata: dict[str, Any], chart: StandIn, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    at_work = {"metadata": {"name": "demo-train-7", **metadata}, "status": {"jobDeploymentStatus": "Running"}}
    chart.objects[f"{RAYJOBS}/demo-train-7"] = at_work
    done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    chart.after = lambda what: at_work.update(status=done) if "pods" in what else None
    assert submit.train("demo", [], False, cluster, "ada").job == "RayJob demo-train-7"
    assert "RayJob demo-train-7 is at work already; following it" in capsys.readouterr().err
    assert made(chart) == []


@pytest.mark.parametrize("status", [{"jobDeploymentStatus": "Complete"}, {"jobDeploymentStatus": "Failed"}])
def test_a_training_that_has_ended_or_another_bots_is_not_followed(
    status: dict[str, Any], chart: StandIn, cluster: Cluster
) -> None:
    ended = {"metadata": {"name": "demo-train-7", "ownerReferences": [OWNER]}, "status": status}
    other = {"metadata": {"name": "other-train-7", "labels": {"mynah/bot": "other"}}}
    chart.objects |= {f"{RAYJOBS}/demo-train-7": ended, f"{RAYJOBS}/other-train-7": other}
    submit.train("demo", [], False, cluster, "ada")
    assert len(made(chart)) == 1


@pytest.mark.parametrize(
    "override",
    [
        "bots.demo.ray.cpu=2",
        "bots.demo.train.workers=2",
        "bots.demo.train.packages={birdlm==1.0}",
        "bots.demo.train.seed=1,bots.demo.train.workers=3",
        "a=1,bots.demo.train.workers=3",
        "bots.demo.ray=null",
        "bots.demo.train=null",
        r"bots.demo.train\.workers=1,bots.demo.ray.memory=1Gi",
    ],
)
def test_an_override_cannot_change_what_the_cluster_is_made_of(override: str, chart: StandIn, cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="the cluster is made by the chart's values; change it by helm upgrade"):
        submit.train("demo", [override], False, cluster, "ada")
    assert chart.asked == []


def test_other_overrides_can(chart: StandIn, cluster: Cluster) -> None:
    overrides = ["bots.demo.generate.prompts[1]=.ray.", "bots.demo.train.max_steps=1,bots.demo.description=x.ray.y"]
    submit.train("demo", overrides, False, cluster, "ada")
    assert len(made(chart)) == 1
