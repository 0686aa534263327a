"""Who reaches whom, tried by connecting from pods with each component's labels."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, get, helm

# What each component may connect to; everything else is closed to it.
MAY_REACH = {
    "scrape": {"store", "world"},
    "scrape, of accounts on X": {"store", "world", "postgres"},
    "scrape, of the X simulator": {"store", "world", "postgres", "x-simulator"},
    "generate": {"store", "postgres", "endpoint"},
    "post, to the simulator": {"postgres", "x-simulator"},
    "post, with an account": {"postgres", "world"},
    "promote": {"store", "postgres", "endpoint", "api-server"},
    "prepare": {"store", "postgres"},
    "serving": {"store"},
    "canary": {"store"},
    "play": {"store", "postgres", "endpoint"},
    "Ray head": {"store", "postgres", "api-server"},
    "Ray worker": {"store"},
    "Ray submitter": set(),
    "postgres": set(),
    "store": set(),
    "x-simulator": set(),
    "a pod that calls the bot": {"endpoint", "world", "api-server"},
    "any other pod": {"world", "api-server"},
    "any other pod, elsewhere": {"world", "api-server"},
    "one that claims all labels, elsewhere": {"world", "api-server"},
}
CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def connect(target):
    name, host, port = target.split("|")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
        return f"open {name}"
    except OSError as error:
        return f"closed {name} {error}"

with ThreadPoolExecutor() as pool:
    print(*pool.map(connect, sys.argv[1:]), sep="\\n")
"""


@pytest.fixture(scope="module")
def world() -> Iterator[str]:
    """host|port of somebody outside the cluster."""
    if "MYNAH_TEST_KIT" not in os.environ:
        yield "1.1.1.1|443"
        return
    # The kit's machine may have no way out: an address that is nobody's (RFC 5737), on this machine.
    address = "203.0.113.7"
    subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    with socket.create_server((address, 0)) as server:

        def answer() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        yield f"{address}|{server.getsockname()[1]}"
    subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


@pytest.fixture(scope="module")
def reached(release: str, empty: str, images: dict[str, str], world: str) -> dict[str, set[str]]:
    """What each pod of MAY_REACH has connected to."""
    targets = [
        f"endpoint|{BOT}.{release}|80",
        f"postgres|{RELEASE}-postgres.{release}|5432",
        f"store|{RELEASE}-store.{release}|7070",
        f"x-simulator|{RELEASE}-x-simulator.{release}|80",
        "api-server|kubernetes.default|443",
        f"world|{world}",
    ]
    labels = labels_of_components(release)
    here = {name: labels.get(name, {}) for name in MAY_REACH if not name.endswith("elsewhere")}
    here["a pod that calls the bot"] = {"mynah/endpoint-client": "true"}
    everything: dict[str, str] = {}
    for some in [*labels.values(), here["a pod that calls the bot"]]:
        everything |= some
    there = {"any other pod, elsewhere": {}, "one that claims all labels, elsewhere": everything}
    result = {}
    for namespace, group in ((release, here), (empty, there)):
        pods = [probe(f"probe-{n}", images["jobs"], targets, group[name]) for n, name in enumerate(group)]
        for name, said in zip(group, kube.run_pods(namespace, *pods), strict=True):
            assert len(said.splitlines()) == len(targets), said
            result[name] = {line.split()[1] for line in said.splitlines() if line.startswith("open")}
    return result


def probe(name: str, image: str, targets: list[str], labels: dict[str, str]) -> dict[str, Any]:
    pod = kube.pod(name, image, ["python", "-c", CONNECT, *targets], labels)
    # Never ready, or a Service would send the component's callers here.
    pod["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}}
    return pod


def labels_of_components(namespace: str) -> dict[str, dict[str, str]]:
    """The labels that the pods of each component get from the chart."""

    def cronjob(thing: dict[str, Any]) -> dict[str, str]:
        return dict(thing["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"])

    rayjob = yaml.safe_load(get(namespace, "configmap", f"{BOT}-training")["data"]["rayjob.yaml"])["spec"]
    cluster = rayjob["rayClusterSpec"]

    def otherwise(verb: str, **values: str) -> dict[str, str]:
        """The labels with other values of the bot."""
        flags = [word for key, value in values.items() for word in ("--set", f"bots.{BOT}.{key}={value}")]
        made = helm(namespace, "template", RELEASE, CHART, *VALUES, *flags, "-s", "templates/jobs/cronjobs.yaml")
        cronjobs = yaml.safe_load_all(made)
        return cronjob(next(c for c in cronjobs if c and c["metadata"]["name"] == f"{BOT}-{verb}"))

    play = helm(
        *(namespace, "template", RELEASE, CHART, *VALUES, "--set", "play.enabled=true"),
        *("-s", "templates/play/deployment.yaml"),
    )
    birds = {"sources.birds.kind": "x", "sources.birds.accounts": "{anna}"}
    (prepare,) = kube.find(namespace, "jobs", _component="prepare")
    serving = get(namespace, "inferenceservice", BOT)["spec"]["predictor"]["labels"]
    labels = {
        "scrape": cronjob(get(namespace, "cronjob", f"{BOT}-scrape")),
        "scrape, of accounts on X": otherwise("scrape", **birds, **{"sources.birds.secret": "birds"}),
        "scrape, of the X simulator": otherwise("scrape", **birds),
        "generate": cronjob(get(namespace, "cronjob", f"{BOT}-generate")),
        "post, to the simulator": cronjob(get(namespace, "cronjob", f"{BOT}-post")),
        "post, with an account": otherwise("post", **{"post.secret": "account"}),
        "promote": cronjob(get(namespace, "cronjob", f"{BOT}-promote")),
        "prepare": prepare["spec"]["template"]["metadata"]["labels"],
        "serving": serving,
        "play": yaml.safe_load(play)["spec"]["template"]["metadata"]["labels"],
        "canary": {**serving, "app.kubernetes.io/component": "canary"},
        "Ray head": cluster["headGroupSpec"]["template"]["metadata"]["labels"],
        "Ray worker": cluster["workerGroupSpecs"][0]["template"]["metadata"]["labels"],
        "Ray submitter": rayjob["submitterPodTemplate"]["metadata"]["labels"],
    }
    for part in ("postgres", "store", "x-simulator"):
        stateful = get(namespace, "statefulset", f"{RELEASE}-{part}")
        labels[part] = stateful["spec"]["template"]["metadata"]["labels"]
    ours = ("app.kubernetes.io/", "mynah/")  # not what marks a pod as a certain Job's
    return {name: {k: v for k, v in some.items() if k.startswith(ours)} for name, some in labels.items()}


@pytest.mark.parametrize("component", MAY_REACH)
def test_reaches_what_it_needs_and_nothing_else(reached: dict[str, set[str]], component: str) -> None:
    assert reached[component] == MAY_REACH[component]


def test_the_real_pods_are_as_closed(release: str) -> None:
    """Long-lived pods, from the inside."""
    (server,) = kube.serving_pods(release)
    simulator = {"metadata": {"name": f"{RELEASE}-x-simulator-0"}}
    ports = {"postgres": 5432, "store": 7070, "x-simulator": 80}
    targets = [f"{name}|{RELEASE}-{name}|{port}" for name, port in ports.items()]
    for pod, opens in ((server, {"store"}), (simulator, {"x-simulator"})):  # a pod always reaches itself
        command = ("exec", pod["metadata"]["name"], "--", "python", "-c", CONNECT, *targets)
        said = kube.kubectl(release, *command)
        assert {line.split()[1] for line in said.splitlines() if line.startswith("open")} == opens, said


def test_the_policies_cover_every_pod_of_the_release(release: str) -> None:
    closed = get(release, "networkpolicy", f"{RELEASE}-closed")["spec"]["podSelector"]["matchLabels"]
    pods = json.loads(kube.kubectl(release, "get", "pods", "-o", "json"))["items"]  # once: a training comes and goes
    uncovered = [
        pod["metadata"]["name"]
        for pod in pods
        if not closed.items() <= pod["metadata"]["labels"].items() and not pod["metadata"]["name"].startswith("probe-")
    ]
    assert pods
    assert uncovered == []
