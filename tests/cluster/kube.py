"""kubectl, helm, mynah and the bot's jobs as plain functions. Every wait is for a condition, with a deadline."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "mynah"
BOT = "fortune"
RELEASE = "mynah"
VALUES = ("-f", ROOT / "bots" / "fortune.yaml", "-f", Path(__file__).with_name("values.yaml"))
WAITING = ("--wait", "--wait-for-jobs", "--timeout=10m")
RESTRICTED = ("pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
USER = "a-tester"  # who promotes and trains
OURS = "mynah/test"  # marks namespaces that the tests may delete
# What a pod needs to pass the Pod Security level `restricted`.
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Failed(AssertionError):
    """A command that failed, with what it said."""


def run(*command: Any, stdin: str | None = None, timeout: float = 300, check: bool = True, cwd: Path = ROOT) -> Any:
    """Run a command, in the repository's root; its CompletedProcess. Raises Failed unless it exits 0."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=stdin, text=True, capture_output=True, timeout=timeout, cwd=cwd)
    if check and done.returncode:
        said = (done.stderr.strip() + "\n" + done.stdout.strip()).strip()
        raise Failed(f"exit {done.returncode} of {shlex.join(words)[:300]}\n{said[-4000:]}")
    return done


def kubectl(namespace: str, *arguments: Any, stdin: str | None = None, timeout: float = 300) -> str:
    return str(run("kubectl", "-n", namespace, *arguments, stdin=stdin, timeout=timeout).stdout)


def helm(namespace: str, *arguments: Any, timeout: float = 700) -> str:
    return str(run("helm", "-n", namespace, *arguments, timeout=timeout).stdout)


def mynah(*arguments: Any, check: bool = True, timeout: float = 900) -> Any:
    """The `mynah` command on this machine; its CompletedProcess."""
    return run(sys.executable, "-m", "mynah", *arguments, check=check, timeout=timeout)


def get(namespace: str, kind: str, name: str) -> dict[str, Any]:
    return dict(json.loads(kubectl(namespace, "get", kind, name, "-o", "json")))


def find(namespace: str, kind: str, **labels: str) -> list[dict[str, Any]]:
    """All objects of a kind that carry these labels; _ in a label's name stands for app.kubernetes.io/."""
    selector = ",".join(f"{name.replace('_', 'app.kubernetes.io/')}={value}" for name, value in labels.items())
    return list(json.loads(kubectl(namespace, "get", kind, "-l", selector, "-o", "json"))["items"])


def wait(what: str, condition: Callable[[], T], within: float = 300, every: float = 0.5) -> T:
    """Ask until the answer is true, and return it. A command that fails, or answers only half, counts as a no."""
    deadline = time.monotonic() + within
    why = ""
    while True:
        try:
            if answer := condition():
                return answer
            why = f"the last answer was {answer!r}"
        except (Failed, subprocess.TimeoutExpired, LookupError, ValueError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise Failed(f"waited {within:.0f} s for {what}; {why}")
        time.sleep(every)


# --- namespaces, installations


def make_namespace(name: str) -> str:
    """An empty namespace that admits only `restricted` pods, in place of one that an earlier run left."""
    if run("kubectl", "get", "namespace", name, "--ignore-not-found", "-o", "name").stdout:
        labels = get("default", "namespace", name)["metadata"]["labels"]
        assert OURS in labels, f"namespace {name} exists and is not from an earlier test: use another cluster"
        run("kubectl", "delete", "namespace", name, "--timeout=280s")
    run("kubectl", "create", "namespace", name)
    run("kubectl", "label", "namespace", name, *RESTRICTED, f"{OURS}=true")
    return name


def delete_namespace(name: str) -> None:
    """Delete a namespace of ours, not waiting for its end; unless MYNAH_TEST_KEEP is set."""
    if not os.environ.get("MYNAH_TEST_KEEP"):
        run("kubectl", "delete", "namespace", name, "--wait=false")


def image_flags(images: dict[str, str], version: str = "") -> list[str]:
    """--set for the images of today's sources, or of a released version's."""
    of = f"{version}-" if version else ""
    parts = {"jobs": images[f"{of}jobs"], "training": images["training"], "serving": images[f"{of}serving"]}
    return [f"--set=images.{part}={image}" for part, image in parts.items()]


def wait_until_ready(namespace: str, within: float = 400) -> None:
    """All that an installation runs is ready, and the model server too."""
    run("kubectl", "-n", namespace, "rollout", "status", "statefulset", f"--timeout={within:.0f}s", timeout=within + 30)
    # Not `kubectl wait`: KServe notes the Deployment's generation as its own, and it would wait for ever.
    wait("the InferenceService", lambda: condition(get(namespace, "inferenceservice", BOT), "Ready"), within)
    wait("the endpoint's pods", lambda: serving_pods(namespace), within)


def serving_pods(namespace: str) -> list[dict[str, Any]]:
    """The pods that the bot's Service sends requests to."""
    pods = find(namespace, "pods", _component="serving", **{"mynah/bot": BOT})
    return [pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]


def is_ready(pod: dict[str, Any]) -> bool:
    return condition(pod, "Ready") is not None


def condition(thing: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """A condition of an object, where it is true."""
    found = thing.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind and c["status"] == "True"), None)


def ours() -> list[str]:
    """The namespaces that the tests have made."""
    named = ("-o", "jsonpath={.items[*].metadata.name}")
    return str(run("kubectl", "get", "namespaces", "-l", OURS, *named, check=False).stdout).split()


def leftovers(namespace: str) -> set[str]:
    """All that is in a namespace, as kind/name, but for what every namespace has."""
    kinds = run("kubectl", "api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout.split()
    usual = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    passing = {"events", "events.events.k8s.io", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io"}
    names = run(
        *("kubectl", "-n", namespace, "get", ",".join(k for k in kinds if k not in passing), "-o", "name"),
        *("--ignore-not-found",),
    ).stdout.split()
    return set(names) - usual


# --- pods and jobs


def pod(name: str, image: str, command: Sequence[str], labels: dict[str, str] | None = None) -> dict[str, Any]:
    """The manifest of a pod that runs a command once."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": POD_SECURITY,
            "containers": [
                {"name": "main", "image": image, "command": list(command), "securityContext": CONTAINER_SECURITY}
            ],
        },
    }


def run_pods(namespace: str, *pods: dict[str, Any], within: float = 400) -> list[str]:
    """Start pods together, wait until each has ended, and return what they said. Raises Failed where one failed."""
    names = [pod["metadata"]["name"] for pod in pods]
    kubectl(namespace, "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    try:

        def ended() -> bool:
            phases = kubectl(namespace, "get", "pods", *names, "-o", "jsonpath={.items[*].status.phase}{.status.phase}")
            return set(phases.split()) <= {"Succeeded", "Failed"}

        wait(f"the end of {', '.join(names)}", ended, within)
        said = [kubectl(namespace, "logs", name) for name in names]
        for name, text in zip(names, said, strict=True):
            if get(namespace, "pod", name)["status"]["phase"] == "Failed":
                raise Failed(f"pod {name} failed: {text[-2000:]}")
        return said
    finally:
        kubectl(namespace, "delete", "pods", *names, "--wait=false", "--ignore-not-found")


@dataclass(frozen=True)
class Job:
    """A job that has ended."""

    name: str
    succeeded: bool
    log: str
    """What its last pod said; empty where that pod was removed."""
    pod: dict[str, Any]
    """Its last pod as it was at the end; {} where it was removed."""


def start_job(
    namespace: str,
    verb: str,
    *arguments: str,
    script: str | None = None,
    env: dict[str, str] | None = None,
    bot: str = BOT,
    retries: int | None = None,
) -> str:
    """Make a Job from a bot's CronJob for `verb`, and return its name.

    `arguments` replace those of `mynah`; `script` is Python to run instead of it, with `arguments`; `retries` those of
    the CronJob.
    """
    name = f"{bot}-{verb}-{uuid.uuid4().hex[:6]}"
    made = kubectl(namespace, "create", "job", name, f"--from=cronjob/{bot}-{verb}", "--dry-run=client", "-o", "json")
    job = json.loads(made)
    container = job["spec"]["template"]["spec"]["containers"][0]
    if retries is not None:
        job["spec"]["backoffLimit"] = retries
    if script:
        container["command"] = ["python", "-c", script]
    if arguments:
        container["args"] = list(arguments)
    for key, value in (env or {}).items():
        container["env"] = [e for e in container["env"] if e["name"] != key] + [{"name": key, "value": value}]
    kubectl(namespace, "create", "-f", "-", stdin=json.dumps(job))
    return name


def job_pod(namespace: str, name: str) -> dict[str, Any]:
    """The newest pod of a job, or {}."""
    pods = find(namespace, "pods", **{"job-name": name})
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default={})


def finish_job(namespace: str, name: str, within: float = 600) -> Job:
    """Wait until a job has ended, well or badly."""

    def end() -> str | None:
        job = get(namespace, "job", name)
        return next((kind for kind in ("Complete", "Failed") if condition(job, kind)), None)

    how = wait(f"the end of job {name}", end, within)
    pod = job_pod(namespace, name)
    log = run("kubectl", "-n", namespace, "logs", pod["metadata"]["name"], check=False).stdout if pod else ""
    return Job(name, how == "Complete", log, pod)


def run_job(
    namespace: str, verb: str, *arguments: str, script: str | None = None, within: float = 600, bot: str = BOT
) -> str:
    """Run a Job from a bot's CronJob to its end; what it said. Raises Failed where it failed."""
    job = finish_job(namespace, start_job(namespace, verb, *arguments, script=script, bot=bot), within)
    if not job.succeeded:
        raise Failed(f"job {job.name} failed: {job.log[-3000:]}")
    return job.log


def kill(namespace: str, name: str) -> None:
    """End a pod as when its machine dies: nothing in it hears a signal, and the API forgets it at once.

    Where its processes run on another machine they are told to end, and may hear it.
    """
    uid = get(namespace, "pod", name)["metadata"]["uid"]
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            if uid in cgroup.read_text():
                os.kill(int(cgroup.parent.name), signal.SIGKILL)
    kubectl(namespace, "delete", "pod", name, "--force", "--grace-period=0")


# --- what the loop has made


def psql(namespace: str, statement: str) -> str:
    """Run one statement in Postgres; what it answers."""
    return kubectl(
        *(namespace, "exec", f"{RELEASE}-postgres-0", "-c", "postgres", "--", "sh", "-c"),
        *(
            'PGPASSWORD=$POSTGRES_PASSWORD exec psql -v ON_ERROR_STOP=1 -h 127.0.0.1 -U mynah -d mynah -qAtc "$0"',
            statement,
        ),
    )


def rows(namespace: str, query: str) -> list[dict[str, Any]]:
    """What Postgres answers to a query. As JSON: a text may hold whatever would end a line or a column."""
    text = psql(namespace, f"SELECT coalesce(json_agg(row_to_json(found)), '[]') FROM ({query}) AS found")
    return list(json.loads(text))


def states(namespace: str) -> dict[str, int]:
    """How many tweets there are in each state."""
    return {row["state"]: row["n"] for row in rows(namespace, "SELECT state, count(*) AS n FROM tweets GROUP BY state")}


def tweets(namespace: str) -> dict[int, str]:
    """All tweets: the id and the text."""
    return {row["id"]: row["text"] for row in rows(namespace, "SELECT id, text FROM tweets")}


def posts(namespace: str) -> list[str]:
    """The ids of the posts that the X simulator has taken, from its own file."""
    command = ("exec", f"{RELEASE}-x-simulator-0", "--", "cat", "/var/lib/mynah/x-simulator.jsonl")
    events = [json.loads(line) for line in kubectl(namespace, *command).split("\n") if line]
    return [event["id"] for event in events if event["event"] == "posted"]


def posted(namespace: str) -> list[str]:
    """The ids of the posts that Postgres knows of, sorted; of every version, which all look at tweets."""
    found = rows(namespace, "SELECT post_id FROM tweets WHERE state = 'posted'")
    return sorted(row["post_id"] for row in found)


def candidates(namespace: str) -> list[str]:
    """The ids of the tweets that nobody has judged."""
    return [str(row["id"]) for row in rows(namespace, "SELECT id FROM tweets WHERE state = 'candidate' ORDER BY id")]


def requests_of(namespace: str, server: dict[str, Any], metric: str = "mynah_requests_total") -> float:
    """How many completions a model server has answered, by its own count; of a vLLM `metric`, how many texts."""
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
    command = ("exec", server["metadata"]["name"], "-c", "kserve-container", "--", "python", "-c", script)
    lines = kubectl(namespace, *command).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{metric}{{"))


def generate_until(namespace: str, enough: Callable[[], bool]) -> str:
    """Generate, again and again, since nobody knows what a model says; what the last run told."""
    for _ in range(10):
        said = run_job(namespace, "generate")
        if enough():
            return said
    raise Failed(f"ten generations were not enough: {states(namespace)}")


def current(namespace: str) -> str | None:
    """The id of the bot's current model, by Postgres."""
    found = rows(namespace, f"SELECT model FROM served WHERE bot = '{BOT}' AND since IS NOT NULL AND until IS NULL")
    return found[0]["model"] if found else None


def serving_model(namespace: str) -> str:
    """The id of the model that the InferenceService names."""
    spec = get(namespace, "inferenceservice", BOT)["spec"]
    return str(spec["predictor"]["model"]["storageUri"]).rpartition("/")[2]


# --- what it took


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def cold_start(pod: dict[str, Any]) -> list[tuple[str, float]]:
    """The steps of a model server's start, each with its seconds (Kubernetes keeps whole ones)."""
    created = pod["metadata"]["creationTimestamp"]
    scheduled = (condition(pod, "PodScheduled") or {})["lastTransitionTime"]
    first = next(s for s in pod["status"]["initContainerStatuses"] if s["name"] == "storage-initializer")
    download = first["state"]["terminated"]
    main = next(s for s in pod["status"]["containerStatuses"] if s["name"] == "kserve-container")
    started = main["state"]["running"]["startedAt"]
    ready = (condition(pod, "Ready") or {})["lastTransitionTime"]
    return [
        ("scheduled", seconds_between(created, scheduled)),
        ("images, sandbox, volumes", seconds_between(scheduled, download["startedAt"])),
        ("storage-initializer", seconds_between(download["startedAt"], download["finishedAt"])),
        ("container started", seconds_between(download["finishedAt"], started)),
        ("model loaded, ready", seconds_between(started, ready)),
        ("in all", seconds_between(created, ready)),
    ]


# --- what an engineer needs to see where a test failed


def describe(namespaces: Sequence[str]) -> str:
    """Pods, warnings and the last lines of pods that are not well."""
    parts = []
    for namespace in namespaces:
        command = ("kubectl", "-n", namespace, "--request-timeout=10s")
        pods = run(*command, "get", "pods", "-o", "wide", check=False).stdout
        if not pods:
            continue
        parts.append(f"--- pods of {namespace}\n{pods}")
        events = ("get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp", "--no-headers")
        parts += [*run(*command, *events, check=False).stdout.splitlines()[-12:]]
        for line in pods.splitlines()[1:]:
            name, ready, status, *_ = line.split()
            if status != "Completed" and (status != "Running" or len(set(ready.split("/"))) > 1):
                said = run(*command, "logs", name, "--all-containers", "--prefix", "--tail=15", check=False).stdout
                parts.append(f"--- {name}\n{said}")
    return "\n".join(parts)


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def container_tool() -> str:
    """docker where its engine answers, else buildah."""
    if shutil.which("docker") and subprocess.run(["docker", "version"], capture_output=True).returncode == 0:
        return "docker"
    return "buildah"


def inspect_image(image: str) -> tuple[dict[str, Any], list[str]]:
    """The configuration of an image, and the digests of its layers, the lowest first."""
    tag = image.partition("@")[0]
    if container_tool() == "docker":
        found = json.loads(run("docker", "image", "inspect", tag).stdout)[0]
        return found["Config"], found["RootFS"]["Layers"]
    found = json.loads(run("buildah", "inspect", "--type", "image", tag).stdout)["OCIv1"]
    return found["config"], found["rootfs"]["diff_ids"]
