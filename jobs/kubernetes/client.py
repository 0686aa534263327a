"""The Kubernetes API: from a pod by its service account, elsewhere by the current context of kubectl."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import urllib3
from kubernetes.client.exceptions import ApiException

from mynah.errors import MynahError

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
POLL = 1.0  # seconds between two looks at an object
TIMEOUT = 30  # seconds for an answer of the API server
RETRIES = 4  # after 0, 1, 2 and 4 seconds
OURS = re.compile(r"^mynah: ")  # how a verb of ours complains
ERROR = re.compile(r"(?i:^(error|fatal|critical)\b)|\b\w*(Error|Exception)\b")  # how others do
KINDS = {
    "InferenceService": ("serving.kserve.io", "v1beta1", "inferenceservices"),
    "RayJob": ("ray.io", "v1", "rayjobs"),
}


@dataclass(frozen=True)
class Cluster:
    """A namespace of a cluster."""

    api: Any
    namespace: str
    inside: bool
    """Whether this process runs in the cluster, and so reaches its Services by name."""

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """A custom object; `kind` is a key of KINDS. Raises MynahError where there is none."""
        group, version, plural = KINDS[kind]
        api = kubernetes.client.CustomObjectsApi(self.api)
        with asking(f"{kind} {name} in namespace {self.namespace}"):
            found: dict[str, Any] = api.get_namespaced_custom_object(
                group, version, self.namespace, plural, name, _request_timeout=TIMEOUT
            )
        return found

    def patch(self, kind: str, name: str, body: dict[str, Any]) -> None:
        """Merge `body` into a custom object (RFC 7386); done twice, it changes nothing more."""
        group, version, plural = KINDS[kind]
        api = kubernetes.client.CustomObjectsApi(self.api)
        with asking(f"{kind} {name} in namespace {self.namespace}"):
            api.patch_namespaced_custom_object(
                *(group, version, self.namespace, plural, name, body),
                _content_type="application/merge-patch+json",
                _request_timeout=TIMEOUT,
            )

    def pods(self, selector: str) -> list[Any]:
        """The pods that a label selector finds, the newest first."""
        api = kubernetes.client.CoreV1Api(self.api)
        with asking(f"pods in namespace {self.namespace}"):
            pods = api.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=TIMEOUT).items
        return sorted(pods, key=lambda pod: pod.metadata.creation_timestamp, reverse=True)

    def last_complaint(self, pod: str, container: str) -> str:
        """What a container that failed complained of last; "" where it said nothing.

        The container may have been started anew, so its life before is asked first.
        """
        api = kubernetes.client.CoreV1Api(self.api)
        lives = []
        for previous in (True, False):
            with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError):
                log = api.read_namespaced_pod_log(
                    *(pod, self.namespace),
                    container=container,
                    tail_lines=200,
                    previous=previous,
                    _request_timeout=TIMEOUT,
                )
                lives.append([line.strip() for line in str(log).splitlines() if line.strip()])
        for complaint in (OURS, ERROR):
            for line in (line for lines in lives for line in reversed(lines)):
                if complaint.search(line):
                    return line.removeprefix("mynah: ")
        return next((lines[-1] for lines in lives if lines), "")

    def follow(self, pod: str, container: str) -> str:
        """Copy a container's log to stderr as it comes, until it ends or breaks off.

        Returns what a verb of ours complained of in it: its last line that begins with "mynah: ", or "".
        """
        api = kubernetes.client.CoreV1Api(self.api)
        complaint, rest = "", b""
        try:
            stream = api.read_namespaced_pod_log(
                pod, self.namespace, container=container, follow=True, _preload_content=False
            )
            for chunk in stream.stream():
                sys.stderr.write(chunk.decode(errors="replace"))
                sys.stderr.flush()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"mynah: "):
                        complaint = line.removeprefix(b"mynah: ").decode(errors="replace").strip()
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            # What became of the pod's job is told by the job, not by its log.
            print(f"the log of pod {pod} broke off: {error}", file=sys.stderr)
        return complaint


def connect(namespace: str | None = None) -> Cluster:
    """The cluster of this pod, or of kubectl's current context; `namespace` overrides theirs.

    Raises MynahError where there is no cluster to talk to.
    """
    if os.environ.get("KUBERNETES_SERVICE_HOST") and NAMESPACE_FILE.exists():
        kubernetes.config.load_incluster_config()
        return Cluster(api_client(), namespace or NAMESPACE_FILE.read_text().strip(), inside=True)
    try:
        kubernetes.config.load_kube_config()
        _, context = kubernetes.config.list_kube_config_contexts()
    except kubernetes.config.ConfigException as error:
        raise MynahError(
            f"no Kubernetes cluster is configured ({error}): set KUBECONFIG, or choose one with kubectl config"
        ) from None
    return Cluster(api_client(), namespace or context["context"].get("namespace") or "default", inside=False)


def api_client() -> Any:
    """A client that outlives a short absence of the API server, and a change by somebody else at the same moment.

    A request is repeated where that does no harm: all but a POST, which might make a thing twice.
    """
    configuration = kubernetes.client.Configuration.get_default_copy()
    configuration.retries = urllib3.Retry(
        total=RETRIES,
        backoff_factor=0.5,
        status_forcelist=[409, 429, 500, 502, 503, 504],
        allowed_methods=["GET", "PATCH", "DELETE"],
        raise_on_status=False,  # what the last answer says is told
    )
    return kubernetes.client.ApiClient(configuration)


def waits_for(pod: Any) -> str | None:
    """What keeps a pod from running, in the cluster's words; None where nothing does."""
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return str(condition.message)
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        waiting = status.state.waiting
        if waiting and waiting.reason not in (None, "PodInitializing", "ContainerCreating"):
            return f"container {status.name}: {waiting.reason}: {waiting.message or 'no message'}"
    return None


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Around a request to the API server about `what`: its refusal becomes a MynahError of one line."""
    try:
        yield
    except ApiException as error:
        reasons = {
            401: "the cluster does not know you: log in again",
            404: "there is none: is the chart installed here, and the namespace right (--namespace)?",
            409: "somebody else changed it at the same moment: try again",
        }
        raise MynahError(f"{what}: {reasons.get(error.status) or _message(error)} ({error.status})") from None
    except urllib3.exceptions.HTTPError as error:
        raise MynahError(f"{what}: the cluster's API server gives no answer ({type(error).__name__})") from None


def _message(error: ApiException) -> str:
    """What the API server says is wrong, on one line."""
    try:
        return " ".join(str(json.loads(error.body)["message"]).split())
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
