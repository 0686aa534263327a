"""A new model is rolled out and rolled back by itself, and nobody who calls the bot notices."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, kubectl, wait

RATE = 6  # requests a second
LOAD = Path(__file__).with_name("load.py").read_text("utf-8")
# Copies of a model folder what the server loads, and changes what a statement says. `manifest` is its model.json.
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
exec(change)
bucket.write(json.dumps(manifest).encode(), bot, "models", new, "model.json")
"""
BETTER = "manifest['metrics']['dev_loss'] -= 0.01"
WORSE = "manifest['metrics']['dev_loss'] += 0.2"
TRUNCATED = """
name = "openvino/openvino_model.bin"
half = bucket.read(bot, "models", old, name)[: manifest["files"][name]["bytes"] // 2]
bucket.write(half, bot, "models", new, name)
manifest["files"][name]["bytes"] = len(half)
manifest["metrics"]["dev_loss"] -= 0.1
"""
ASK = """
import sys
from openai import OpenAI
bot, address = sys.argv[1:]
client = OpenAI(base_url=f"{address}/openai/v1", api_key="none")
assert [model.id for model in client.models.list()] == [bot]
answer = client.completions.create(model=bot, prompt="A wise man", max_tokens=24, seed=1)
print(answer.system_fingerprint, repr(answer.choices[0].text))
stream = client.completions.create(model=bot, prompt="A wise man", max_tokens=8, stream=True)
print(sum(1 for chunk in stream), "chunks")
"""


def copy(namespace: str, old: str, new: str, change: str) -> str:
    kube.run_job(namespace, "scrape", BOT, old, new, change, script=COPY)
    return new


@dataclass
class Requests:
    """The pod that asks without pause."""

    namespace: str

    def lines(self) -> list[list[str]]:
        """All requests so far: ok or failed, seconds, the model that answered or why none did."""
        return [line.split(maxsplit=2) for line in kubectl(self.namespace, "logs", "load").splitlines()]

    def failed(self) -> list[list[str]]:
        return [line for line in self.lines() if line[0] != "ok"]

    def models(self) -> list[str]:
        """The models that answered, in the order of their first answers."""
        return list(dict.fromkeys(line[2] for line in self.lines() if line[0] == "ok"))


@pytest.fixture(scope="module")
def load(release: str, serving: str, images: dict[str, str], figures: dict[str, str]) -> Iterator[Requests]:
    """Constant load from a pod of the cluster while this file's tests run."""
    command = ["python", "-c", LOAD, f"http://{BOT}.{release}", BOT, str(RATE)]
    pod = kube.pod("load", images["jobs"], command, {"mynah/endpoint-client": "true"})
    kubectl(release, "create", "-f", "-", stdin=json.dumps(pod))
    begin = time.monotonic()
    requests = Requests(release)
    try:
        wait("the first answers", lambda: len(requests.lines()) > RATE)
        yield requests
        lines, seconds = requests.lines(), time.monotonic() - begin
    finally:
        kubectl(release, "delete", "pod", "load", "--wait=false")
    times = sorted(float(line[1]) for line in lines)
    figures["requests while rolling, refusing and rolling back"] = (
        f"{len(lines)} sent in {seconds:.0f} s, {sum(line[0] != 'ok' for line in lines)} failed; "
        f"median {times[len(times) // 2]:.2f} s, slowest {times[-1]:.2f} s"
    )


def test_another_pod_talks_to_it_with_the_openai_client(
    release: str, serving: str, images: dict[str, str], figures: dict[str, str]
) -> None:
    command = ["python", "-c", ASK, BOT, f"http://{BOT}.{release}"]
    (said,) = kube.run_pods(release, kube.pod("client", images["client"], command, {"mynah/endpoint-client": "true"}))
    assert said.startswith(f"{serving} '")
    assert int(said.splitlines()[1].split()[0]) >= 2
    installed = kube.get(release, "inferenceservice", BOT)["metadata"]["creationTimestamp"]
    figures["install → first prediction, by a model trained in between"] = (
        f"{kube.seconds_between(installed, datetime.now(UTC).isoformat()):.0f} s"
    )
    (pod,) = kube.serving_pods(release)
    figures["predictor's cold start"] = ", ".join(f"{step} {n:.0f} s" for step, n in kube.cold_start(pod))


def test_a_new_model_is_rolled_out_without_one_failed_request(
    release: str, serving: str, load: Requests, figures: dict[str, str]
) -> None:
    new = copy(release, serving, "20990101T000000-00000001", BETTER)
    begin = time.monotonic()
    said = kube.mynah("promote", BOT, "--namespace", release)
    figures["promote under load"] = f"{time.monotonic() - begin:.0f} s"
    assert "canary ready after" in said.stdout + said.stderr
    assert kube.serving_model(release) == new
    wait("answers of the new model", lambda: load.lines()[-1][2] == new)
    assert load.models() == [serving, new]
    assert load.failed() == []
    assert not get_canary(release)


def test_a_model_that_does_not_load_is_refused_and_the_old_one_serves_on(
    release: str, load: Requests, figures: dict[str, str]
) -> None:
    old = kube.serving_model(release)
    bad = copy(release, old, "20990101T000000-00000002", TRUNCATED)
    pods = {pod["metadata"]["name"] for pod in kube.serving_pods(release)}
    begin = time.monotonic()
    done = kube.mynah("promote", BOT, bad, "--namespace", release, check=False)
    figures["a broken model refused"] = f"{time.monotonic() - begin:.0f} s"
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "openvino" in said
    assert any(bad in line and old in line for line in said.splitlines()), said  # what is wrong, and what serves on
    assert {pod["metadata"]["name"] for pod in kube.serving_pods(release)} == pods
    assert kube.serving_model(release) == old
    assert load.models()[-1] == old
    assert load.failed() == []
    assert not get_canary(release)


def test_a_model_that_has_learnt_less_is_refused_before_it_starts(release: str, load: Requests) -> None:
    old = kube.serving_model(release)
    worse = copy(release, old, "20990101T000000-00000003", WORSE)
    done = kube.mynah("promote", BOT, worse, "--namespace", release, check=False)
    assert done.returncode == 1
    assert "dev loss" in done.stdout + done.stderr
    assert kube.serving_model(release) == old
    assert load.failed() == []


def test_a_rollback_returns_to_the_model_before(
    release: str, serving: str, load: Requests, figures: dict[str, str]
) -> None:
    begin = time.monotonic()
    kube.mynah("rollback", BOT, "--namespace", release)
    figures["rollback under load"] = f"{time.monotonic() - begin:.0f} s"
    assert kube.serving_model(release) == serving
    wait("answers of the old model", lambda: load.lines()[-1][2] == serving)
    assert load.failed() == []
    assert len(load.lines()) > 100


def get_canary(namespace: str) -> list[str]:
    """What is left of a canary."""
    names = kubectl(namespace, "get", "deployments,services", "-o", "name").split()
    return [name for name in names if "canary" in name]
