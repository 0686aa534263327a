"""A new model is rolled out and rolled back by itself, and nobody who calls the bot notices."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, kubectl, wait
from tests.cluster.rollouts import BETTER, ROLLOUTS, Requests, asking, copy, lost, name_model, roll_out

ON = ("--on", "kubernetes")
WORSE = "figures['dev_nats_per_character'] = 1.2"
UNCOMPARED = "figures = None"
TRUNCATED = """
name = "openvino/openvino_model.bin"
half = bucket.read(bot, "models", old, name)[: manifest["files"][name]["bytes"] // 2]
bucket.write(half, bot, "models", new, name)
manifest["files"][name]["bytes"] = len(half)
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
NEW, BROKEN, WORST, UNKNOWN = (f"20990101T000000-0000000{n}" for n in range(1, 5))


@pytest.fixture(scope="module")
def load(release: str, serving: str, images: dict[str, str], figures: dict[str, str]) -> Iterator[Requests]:
    """Constant load from a pod of the cluster while this file's tests run."""
    begin = time.monotonic()
    with asking(release, images["client"]) as requests:
        yield requests
        found, seconds = requests.all(), time.monotonic() - begin
    times = sorted(request.seconds for request in found)
    figures["requests while rolling, refusing and rolling back"] = (
        f"{len(found)} sent in {seconds:.0f} s, {sum(not request.ok for request in found)} failed; "
        f"median {times[len(times) // 2]:.2f} s, slowest {times[-1]:.2f} s"
    )


def is_settled(release: str, model: str) -> None:
    """The InferenceService and Postgres name the model, no change is under way, and no canary is left."""
    assert kube.serving_model(release) == model
    assert kube.current(release) == model
    assert kube.rows(release, "SELECT * FROM served WHERE since IS NULL AND withdrawn_at IS NULL") == []
    wait("the canary to go", lambda: not get_canary(release))


def get_canary(namespace: str) -> list[str]:
    """What is left of a canary."""
    names = kubectl(namespace, "get", "deployments,services", "-o", "name").split()
    return [name for name in names if "canary" in name]


def refused(release: str) -> dict[str, str]:
    return {row["model"]: row["why"] for row in kube.rows(release, "SELECT model, why FROM refused")}


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
    new = copy(release, serving, NEW, BETTER)
    begin = time.monotonic()
    said = kube.mynah("promote", BOT, *ON, "--namespace", release)
    figures["promote under load"] = f"{time.monotonic() - begin:.0f} s"
    assert f"{new} is {BOT}'s current model, before it {serving}" in said.stdout + said.stderr
    is_settled(release, new)
    wait("answers of the new model", lambda: load.last_model() == new)
    assert load.models() == [serving, new]
    assert load.failed() == []


def test_who_promoted_what_and_why_is_kept(release: str, serving: str) -> None:
    found = kube.rows(release, "SELECT model, who, why FROM served WHERE since IS NOT NULL ORDER BY id DESC LIMIT 2")
    assert [row["model"] for row in found] == [NEW, serving]
    assert {row["who"] for row in found} == {kube.USER}
    assert "nats per character" in found[0]["why"]


def test_a_model_that_does_not_load_is_refused_and_the_old_one_serves_on(
    release: str, load: Requests, figures: dict[str, str]
) -> None:
    old = kube.serving_model(release)
    bad = copy(release, old, BROKEN, TRUNCATED)
    pods = {pod["metadata"]["name"] for pod in kube.serving_pods(release)}
    begin = time.monotonic()
    done = kube.mynah("promote", BOT, bad, *ON, "--namespace", release, check=False)
    figures["a broken model refused"] = f"{time.monotonic() - begin:.0f} s"
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert any(bad in line and old in line for line in said.splitlines()), said  # what is wrong, and what serves on
    assert "openvino" in refused(release)[bad]  # in the words of the server
    assert {pod["metadata"]["name"] for pod in kube.serving_pods(release)} == pods
    is_settled(release, old)
    assert load.last_model() == old
    assert load.failed() == []


def test_a_model_that_has_learnt_less_is_refused_before_it_starts(release: str, load: Requests) -> None:
    old = kube.serving_model(release)
    worse = copy(release, old, WORST, WORSE)
    done = kube.mynah("promote", BOT, worse, *ON, "--namespace", release, check=False)
    assert done.returncode == 1
    assert "dev loss" in done.stdout + done.stderr
    is_settled(release, old)
    assert worse in refused(release)
    assert load.failed() == []


def test_a_model_that_nobody_compared_is_neither_promoted_nor_refused(release: str) -> None:
    old = kube.serving_model(release)
    unknown = copy(release, old, UNKNOWN, UNCOMPARED)
    done = kube.mynah("promote", BOT, unknown, *ON, "--namespace", release, check=False)
    assert done.returncode == 1
    assert f"`mynah evaluate {BOT} {unknown}` measures both" in done.stdout + done.stderr
    is_settled(release, old)
    assert unknown not in refused(release)


def test_a_rollback_that_is_killed_is_ended_by_the_next(
    release: str, serving: str, load: Requests, figures: dict[str, str]
) -> None:
    """It returns to the model before, once."""
    job = kube.start_job(release, "promote", "rollback", BOT, *ON)
    wait("the rollback to change the model", lambda: kube.serving_model(release) == serving, every=0.2)
    kube.kill(release, kube.job_pod(release, job)["metadata"]["name"])
    begin = time.monotonic()
    if not kube.finish_job(release, job).succeeded:  # or it was faster than the kill
        kube.mynah("rollback", BOT, *ON, "--namespace", release)
    figures["rollback under load, killed and ended"] = f"{time.monotonic() - begin:.0f} s"
    is_settled(release, serving)
    assert "rolled back from" in refused(release)[NEW]
    wait("answers of the old model", lambda: load.last_model() == serving)
    assert load.failed() == []


def test_a_rollback_leaves_a_model_that_does_not_come_up(release: str, serving: str, load: Requests) -> None:
    """However it came to be the one that serves; here, by kubectl."""
    name_model(release, BROKEN)

    def fails() -> bool:
        pods = kube.find(release, "pods", _component="serving", **{"mynah/bot": BOT})
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        return any(status["restartCount"] for status in statuses)

    wait("the broken model to fail", fails)
    kube.mynah("rollback", BOT, *ON, "--namespace", release)
    is_settled(release, serving)
    assert load.failed() == []


def test_rollouts_under_load_lose_no_request(
    release: str, serving: str, load: Requests, figures: dict[str, str]
) -> None:
    """With connections that httpx, requests and the openai client keep open."""
    copy(release, serving, NEW, BETTER)
    before = len(load.all())
    for number in range(ROLLOUTS):
        roll_out(release, serving if number % 2 else NEW)
    if ROLLOUTS % 2:
        roll_out(release, serving)  # the files after this one know its model
    requests = load.all()[before:]
    figures["rollouts"] = lost(requests, ROLLOUTS + ROLLOUTS % 2)
    assert [request for request in requests if not request.ok] == []
