"""Verbs that run in the cluster while somebody elsewhere looks on: as the chart's own jobs, with the chart's rights."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kubernetes
import yaml
from kubernetes.client.exceptions import ApiException

from jobs.kubernetes.client import KINDS, POLL, TIMEOUT, Cluster, asking, waits_for
from mynah.bot.overrides import SetPath, set_paths
from mynah.errors import MynahError, UsageError

ENDED = {"Complete", "Failed"}  # RayJob's jobDeploymentStatus
USER = "MYNAH_USER"  # the chart's schedules have names of their own
# What the RayJob itself is made of, so that a flag of the driver cannot change it: below bots.NAME.
FIXED = (("ray",), ("train", "workers"), ("train", "packages"))


@dataclass(frozen=True)
class Remote:
    """A job that ran in the cluster to its end."""

    job: str
    namespace: str
    seconds: float

    def summary(self) -> str:
        return f"{self.job} in namespace {self.namespace} is done after {self.seconds:.0f} s"


def train(bot: str, overrides: Sequence[str], again: bool, cluster: Cluster, user: str) -> Remote:
    """Submit the RayJob that the chart keeps for `bot`, follow its log, and remove it when it has succeeded.

    `overrides` change the bot file of this one training, and `user` is who asks for it. Where a training is at work
    already, that one is followed. Ctrl-C leaves it at work. Raises MynahError where it fails; UsageError for an
    override that it cannot take.
    """
    for override in overrides:
        if any(_changes_cluster(path[2:]) for path in set_paths(override)):
            raise UsageError(f"--set {override}: the cluster is made by the chart's values; change it by helm upgrade")
    begin = time.monotonic()
    name = _running_rayjob(bot, cluster)
    if name:
        print(f"RayJob {name} is at work already; following it", file=sys.stderr)
    else:
        flags = [*(f"--set={override}" for override in overrides), *(["--again"] if again else [])]
        name = _submit_rayjob(bot, flags, cluster, user)
        print(f"RayJob {name} submitted; Ctrl-C leaves it at work", file=sys.stderr)
    status, complaint = _follow_rayjob(bot, name, cluster)
    if status.get("jobStatus") != "SUCCEEDED":
        why = complaint or status.get("message") or status.get("reason") or "its log above says why"
        raise MynahError(f"RayJob {name} failed: {' '.join(str(why).split())}")
    _remove_rayjob(name, cluster)
    return Remote(f"RayJob {name}", cluster.namespace, time.monotonic() - begin)


def promote(bot: str, arguments: Sequence[str], cluster: Cluster, user: str) -> Remote:
    """Run `mynah ARGUMENTS` as a Job made from the bot's CronJob `promote`, follow its log, and tell how it ended.

    `user` is who asks for it. Raises MynahError where it fails, with the last line of its log, and where another is at
    work.
    """
    begin = time.monotonic()
    batch = kubernetes.client.BatchV1Api(cluster.api)
    with asking(f"CronJob {bot}-promote in namespace {cluster.namespace}"):
        template = batch.read_namespaced_cron_job(f"{bot}-promote", cluster.namespace).spec.job_template
        same = f"mynah/bot={bot},app.kubernetes.io/component=promote"
        for job in batch.list_namespaced_job(cluster.namespace, label_selector=same).items:
            if job.status.active:
                raise MynahError(f"job {job.metadata.name} is at work: wait for it, or delete it")
        spec = template.spec
        spec.backoff_limit = 0
        spec.ttl_seconds_after_finished = 3600
        container = spec.template.spec.containers[0]
        container.args = list(arguments)
        container.env = [
            *(variable for variable in container.env or [] if variable.name != USER),
            kubernetes.client.V1EnvVar(name=USER, value=user),
        ]
        metadata = kubernetes.client.V1ObjectMeta(generate_name=f"{bot}-promote-", labels=template.metadata.labels)
        job = batch.create_namespaced_job(cluster.namespace, kubernetes.client.V1Job(metadata=metadata, spec=spec))
    name = job.metadata.name
    followed = said = complaint = ""
    while True:
        with asking(f"Job {name} in namespace {cluster.namespace}"):
            status = batch.read_namespaced_job_status(name, cluster.namespace, _request_timeout=TIMEOUT).status
        for pod in cluster.pods(f"job-name={name}")[:1]:
            if pod.status.phase != "Pending" and not followed:
                followed = pod.metadata.name
                complaint = cluster.follow(followed, container.name)
            elif (why := waits_for(pod)) and why != said:
                said = why
                print(f"waiting: {why}", file=sys.stderr)
        if status.succeeded:
            return Remote(f"job {name}", cluster.namespace, time.monotonic() - begin)
        if failed := next((c for c in status.conditions or [] if c.type == "Failed" and c.status == "True"), None):
            raise MynahError(f"job {name} in namespace {cluster.namespace} failed: {complaint or failed.message}")
        time.sleep(POLL)


def _changes_cluster(path: SetPath) -> bool:
    """Whether setting what lies at `path` below a bot changes one of FIXED, or something around it."""
    return any(path[: len(fixed)] == fixed[: len(path)] for fixed in FIXED)


def _running_rayjob(bot: str, cluster: Cluster) -> str | None:
    """The RayJob of this bot that has not ended, whether a person or the RayCronJob made it."""
    group, version, plural = KINDS["RayJob"]
    with asking(f"RayJobs in namespace {cluster.namespace}"):
        found = kubernetes.client.CustomObjectsApi(cluster.api).list_namespaced_custom_object(
            group, version, cluster.namespace, plural, _request_timeout=TIMEOUT
        )
    for job in found["items"]:
        if _trains(job["metadata"], bot) and job.get("status", {}).get("jobDeploymentStatus") not in ENDED:
            return str(job["metadata"]["name"])
    return None


def _trains(metadata: dict[str, Any], bot: str) -> bool:
    """KubeRay gives what a RayCronJob makes its own label and owner alone."""
    labels, owners = metadata.get("labels") or {}, metadata.get("ownerReferences") or []
    return (
        labels.get("mynah/bot") == bot
        or labels.get("ray.io/cronjob-name") == f"{bot}-train"
        or any((owner["kind"], owner["name"]) == ("RayCronJob", f"{bot}-train") for owner in owners)
    )


def _submit_rayjob(bot: str, flags: Sequence[str], cluster: Cluster, user: str) -> str:
    group, version, plural = KINDS["RayJob"]
    with asking(f"training {bot} in namespace {cluster.namespace}"):
        kept = kubernetes.client.CoreV1Api(cluster.api).read_namespaced_config_map(f"{bot}-training", cluster.namespace)
        body: dict[str, Any] = yaml.safe_load(kept.data["rayjob.yaml"])
        body["spec"]["entrypoint"] = " ".join([body["spec"]["entrypoint"], *(shlex.quote(flag) for flag in flags)])
        head = body["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        head["env"] = [*(v for v in head["env"] if v["name"] != USER), {"name": USER, "value": user}]
        made = kubernetes.client.CustomObjectsApi(cluster.api).create_namespaced_custom_object(
            group, version, cluster.namespace, plural, body
        )
    return str(made["metadata"]["name"])


def _remove_rayjob(name: str, cluster: Cluster) -> None:
    """Delete a RayJob, unless somebody else who followed it was faster."""
    group, version, plural = KINDS["RayJob"]
    with asking(f"RayJob {name} in namespace {cluster.namespace}"):
        try:
            kubernetes.client.CustomObjectsApi(cluster.api).delete_namespaced_custom_object(
                group, version, cluster.namespace, plural, name
            )
        except ApiException as error:
            if error.status != 404:
                raise


def _follow_rayjob(bot: str, name: str, cluster: Cluster) -> tuple[dict[str, Any], str]:
    """Show what a RayJob does, a failed try's successor too, until it has ended.

    Returns its status, and what the last try complained of.
    """
    followed: set[str] = set()
    said = complaint = ""
    while (status := cluster.get("RayJob", name).get("status", {})).get("jobDeploymentStatus") not in ENDED:
        for pod in cluster.pods(f"job-name={name}")[:1]:
            if pod.status.phase != "Pending" and pod.metadata.uid not in followed:
                followed.add(pod.metadata.uid)
                complaint = cluster.follow(pod.metadata.name, "ray-job-submitter")
        for pod in cluster.pods(f"mynah/bot={bot},app.kubernetes.io/component=training"):
            if (why := waits_for(pod)) and why != said:
                said = why
                print(f"pod {pod.metadata.name} waits: {why}", file=sys.stderr)
        time.sleep(POLL)
    return status, complaint
