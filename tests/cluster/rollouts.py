"""Rolling updates of the model server under load, and what was lost.

    MYNAH_TEST_ROLLOUTS=20 python -m pytest tests/cluster/test_6_promotion.py -k rollouts --timeout 7200

rolls out twenty times instead of three, and prints the figure at the end.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import kube
from tests.cluster.kube import BOT, kubectl

RATE = 6  # requests a second
LOAD = Path(__file__).with_name("load.py").read_text("utf-8")
# Copies of a model folder what the server loads, and changes what a statement says. `manifest` is its model.json,
# `figures` what `mynah evaluate` would have found, beside the model that it is a copy of.
COPY = """
import json, os, sys
from mynah.bucket import Bucket
bot, old, new, change = sys.argv[1:]
bucket = Bucket(os.environ["MYNAH_BUCKET"])
manifest = bucket.manifest(bot, "models", old)
manifest["files"] = {name: facts for name, facts in manifest["files"].items() if name.startswith("openvino/")}
for name in manifest["files"]:
    bucket.filesystem.copy_file(bucket.path(bot, "models", old, name), bucket.path(bot, "models", new, name))
manifest["id"] = new
figures = {"dev_nats_per_character": 1.0, "current_dev_nats_per_character": 1.0}
exec(change)
if figures:
    bucket.write(json.dumps(figures).encode(), bot, "evaluations", new, f"{old}.json")
bucket.write(json.dumps(manifest).encode(), bot, "models", new, "model.json")
"""
BETTER = "figures['dev_nats_per_character'] = 0.99"
ROLLOUTS = int(os.environ.get("MYNAH_TEST_ROLLOUTS", "3"))


@dataclass(frozen=True)
class Request:
    """A request of load.py."""

    ok: bool
    client: str
    seconds: float
    what: str
    """The model that answered, or why none did."""


@dataclass
class Requests:
    """The pod that asks without pause."""

    namespace: str
    pod: str

    def all(self) -> list[Request]:
        """All requests so far; of a line that is being written, nothing."""
        whole, _, _ = kubectl(self.namespace, "logs", self.pod).rpartition("\n")
        lines = [line.split(maxsplit=3) for line in whole.split("\n") if line]
        return [Request(word == "ok", client, float(seconds), what) for word, client, seconds, what in lines]

    def failed(self) -> list[Request]:
        return [request for request in self.all() if not request.ok]

    def models(self) -> list[str]:
        """The models that answered, in the order of their first answers."""
        return list(dict.fromkeys(request.what for request in self.all() if request.ok))

    def last_model(self) -> str:
        return next((request.what for request in reversed(self.all()) if request.ok), "")


def copy(namespace: str, old: str, new: str, change: str) -> str:
    """Another model of the bot's, made of one that there is; its id."""
    kube.run_job(namespace, "scrape", BOT, old, new, change, script=COPY)
    return new


@contextmanager
def asking(namespace: str, image: str) -> Iterator[Requests]:
    """Constant load on the bot's address, from a pod of the cluster, while the block runs."""
    command = ["python", "-c", LOAD, f"http://{BOT}.{namespace}", BOT, str(RATE)]
    pod = kube.pod("load", image, command, {"mynah/endpoint-client": "true"})
    kubectl(namespace, "create", "-f", "-", stdin=json.dumps(pod))
    requests = Requests(namespace, "load")
    try:
        kube.wait("the first answers", lambda: len(requests.all()) > RATE)
        yield requests
    finally:
        kubectl(namespace, "delete", "pod", "load", "--wait=true")


def name_model(namespace: str, model: str) -> None:
    """Make the InferenceService name a model, as `mynah promote` does, without judging it."""
    uri = kube.get(namespace, "inferenceservice", BOT)["spec"]["predictor"]["model"]["storageUri"]
    uri = f"{uri.rpartition('/')[0]}/{model}"
    patch = {"spec": {"predictor": {"model": {"storageUri": uri}}}}
    kubectl(namespace, "patch", "inferenceservice", BOT, "--type=merge", "-p", json.dumps(patch))


def roll_out(namespace: str, model: str) -> None:
    """A rolling update to a model, to its end: the last old pod is gone."""
    name_model(namespace, model)

    def done() -> bool:
        pods = kube.find(namespace, "pods", _component="serving", **{"mynah/bot": BOT})
        return bool(pods) and all(serves(pod, model) for pod in pods)

    kube.wait(f"{model} to be rolled out", done, within=600)


def serves(pod: dict[str, Any], model: str) -> bool:
    """Whether a pod is ready, stays, and has the model."""
    leaves = pod["metadata"].get("deletionTimestamp")
    return kube.is_ready(pod) and not leaves and f"/models/{model}" in json.dumps(pod["spec"]["initContainers"])


def lost(requests: list[Request], rollouts: int) -> str:
    """How many requests were lost, by client."""
    sent, failed = Counter(r.client for r in requests), Counter(r.client for r in requests if not r.ok)
    clients = ", ".join(f"{client} {failed[client]} of {sent[client]}" for client in sent)
    return f"{sum(failed.values())} of {len(requests)} requests lost in {rollouts} rollouts ({clients})"
