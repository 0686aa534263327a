"""Whatever is killed, as when its machine dies, the loop goes on by itself, and no row is lost or doubled."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, RELEASE, kubectl, wait

# Between a poster and the simulator: takes a request on to it, and keeps the answer; or keeps the request itself.
HOLD = """
import socket, sys, threading, time
simulator, what = sys.argv[1:]

def serve(client):
    print("connected", flush=True)
    if what == "request":
        time.sleep(3600)
    server = socket.create_connection((simulator, 80))
    threading.Thread(target=lambda: [server.sendall(data) for data in iter(lambda: client.recv(65536), b"")]).start()
    server.recv(65536)
    print("answered", flush=True)
    time.sleep(3600)

with socket.create_server(("", 8090)) as listener:
    print("listening", flush=True)
    while True:
        threading.Thread(target=serve, args=listener.accept()[:1]).start()
"""

# A job that is at work for as long as it takes to kill something under it: the same command again and again.
AGAIN = """
import subprocess, sys
for _ in range(20):
    if code := subprocess.run(["mynah", *sys.argv[1:]]).returncode:
        sys.exit(code)
"""


@pytest.fixture
def hold(release: str, images: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Starts a pod that holds back a poster's request or its answer; gives its address."""
    ours = {"app.kubernetes.io/part-of": "mynah", "app.kubernetes.io/instance": RELEASE}
    started = []

    def start(what: str) -> str:
        name = f"hold-{what}"
        labels = {**ours, "mynah/reaches-x-simulator": "true", "test": "hold"}
        command = ["python", "-c", HOLD, f"{RELEASE}-x-simulator", what]
        pod = kube.pod(name, images["jobs"], command, labels)
        kubectl(release, "apply", "-f", "-", stdin=json.dumps(POLICIES))
        kubectl(release, "create", "-f", "-", stdin=json.dumps(pod))
        started.append(name)
        wait(f"{name} to listen", lambda: "listening" in kubectl(release, "logs", name))
        return f"http://{kube.get(release, 'pod', name)['status']['podIP']}:8090"

    yield start
    kubectl(release, "delete", "pod", *started, "--wait=false")
    kubectl(release, "delete", "networkpolicy", "-l", "test=hold")


def policy(name: str, pods: dict[str, str], **rules: object) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": {"test": "hold"}},
        "spec": {"podSelector": {"matchLabels": pods}, "policyTypes": [key.capitalize() for key in rules], **rules},
    }


POLICIES = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        policy("at-hold", {"test": "hold"}, ingress=[{}]),
        policy(
            "to-hold",
            {"app.kubernetes.io/component": "post"},
            egress=[{"to": [{"podSelector": {"matchLabels": {"test": "hold"}}}]}],
        ),
    ],
}


def held_poster(release: str, address: str, until: Callable[[], object]) -> None:
    """Start a poster, kill it once `until` is true, and wait for the end of its job."""
    job = kube.start_job(release, "post", "post", BOT, env={"X_API_URL": address}, retries=0)
    wait("the poster to be held", until)
    kube.kill(release, kube.job_pod(release, job)["metadata"]["name"])
    assert not kube.finish_job(release, job).succeeded
    assert kube.states(release)["posting"] == 1


def an_attempt_ages(release: str) -> None:
    """As if what posters have in hand had been begun eleven minutes earlier."""
    held = "state IN ('claimed', 'unknown')"
    kube.psql(release, f"UPDATE posts SET claimed_at = claimed_at - interval '11 minutes' WHERE {held}")


def check_books(release: str, before: dict[int, str]) -> None:
    """No tweet is lost or changed, and X has exactly the posts that Postgres says."""
    after = kube.tweets(release)
    assert {id: after.get(id) for id in before} == before
    assert sorted(kube.posts(release)) == kube.posted(release)
    assert len(set(kube.posts(release))) == len(kube.posts(release))
    assert "posting" not in kube.states(release)
    in_step = kube.rows(release, "SELECT post_id FROM posts WHERE state = 'posted'")
    assert sorted(row["post_id"] for row in in_step) == kube.posted(release)


@pytest.fixture
def before(release: str, serving: str) -> dict[int, str]:
    """The tweets before the kill; at least four are approved."""

    def approve() -> bool:
        if ids := kube.candidates(release):
            kube.run_job(release, "generate", "curate", BOT, "approve", *ids)
        return kube.states(release).get("approved", 0) >= 4

    if not approve():
        kube.generate_until(release, approve)
    return kube.tweets(release)


def test_a_poster_killed_after_x_has_the_post(release: str, before: dict[int, str], hold: Callable[[str], str]) -> None:
    posts = kube.posts(release)
    held_poster(release, hold("answer"), lambda: "answered" in kubectl(release, "logs", "hold-answer"))
    assert len(kube.posts(release)) == len(posts) + 1
    said = kube.run_job(release, "post", "post", BOT)
    assert "had been posted: " in said
    assert len(kube.posts(release)) == len(posts) + 1  # this run was for the same post
    check_books(release, before)


def test_a_poster_killed_before_x_has_the_post(
    release: str, before: dict[int, str], hold: Callable[[str], str]
) -> None:
    posts = kube.posts(release)
    held_poster(release, hold("request"), lambda: "connected" in kubectl(release, "logs", "hold-request"))
    said = kube.run_job(release, "post", "post", BOT)
    assert "posted tweet" in said  # another one
    assert "had not been posted" not in said  # it might still appear
    assert len(kube.posts(release)) == len(posts) + 1
    # Ten minutes later:
    an_attempt_ages(release)
    said = kube.run_job(release, "post", "post", BOT)
    assert "had not been posted: approved again" in said
    assert "posted tweet" in said
    assert len(kube.posts(release)) == len(posts) + 2
    check_books(release, before)


def test_posters_killed_at_any_moment(release: str, before: dict[int, str]) -> None:
    jobs = []
    for _ in range(3):
        job = kube.start_job(release, "post", "post", BOT)
        wait("the poster to run", lambda job=job: kube.job_pod(release, job).get("status", {}).get("startTime"))
        kube.kill(release, kube.job_pod(release, job)["metadata"]["name"])
        jobs.append(job)
    for job in jobs:
        kube.finish_job(release, job)
    an_attempt_ages(release)
    kube.run_job(release, "post", "post", BOT)
    check_books(release, before)


def test_one_postgres_alone_has_the_data(release: str) -> None:
    """A pod that is deleted by force may run again for a moment, beside the one that takes its place."""
    locked = "flock -n /var/lib/postgresql/data/.lock true; echo $?"
    said = kubectl(release, "exec", f"{RELEASE}-postgres-0", "-c", "postgres", "--", "sh", "-c", locked)
    assert said.strip() == "1"


@pytest.mark.parametrize("victim", ["predictor", "postgres", "store"])
def test_the_loop_goes_on_after_a_kill(
    release: str, before: dict[int, str], victim: str, figures: dict[str, str]
) -> None:
    (server,) = kube.serving_pods(release)
    name = server["metadata"]["name"] if victim == "predictor" else f"{RELEASE}-{victim}-0"
    uid = kube.get(release, "pod", name)["metadata"]["uid"]
    if victim == "store":
        job = kube.start_job(release, "scrape", "scrape", BOT, script=AGAIN)
        wait("the scraper to be at work", lambda: "new" in kubectl(release, "logs", f"job/{job}"))
    else:
        asked = kube.requests_of(release, server)
        flags = [f"--set=bots.{BOT}.generate.{key}" for key in ("samples=100", "max_tokens=100")]
        job = kube.start_job(release, "generate", "generate", BOT, *flags)
        wait("the generation to be at work", lambda: kube.requests_of(release, server) > asked)
    begin = time.monotonic()
    kube.kill(release, name)
    ended = kube.finish_job(release, job)
    if not ended.succeeded:  # then it says so in a line
        last = ended.log.strip().splitlines()[-1]
        assert last.startswith("mynah: "), ended.log
        assert "Traceback" not in ended.log

    kube.wait_until_ready(release)
    if victim != "predictor":
        assert kube.get(release, "pod", name)["metadata"]["uid"] != uid
    assert f"model {kube.serving_model(release)} wrote" in kube.run_job(release, "generate")
    said = kube.run_job(release, "post", "post", BOT)
    fate = "went on" if ended.succeeded else "failed with a line"
    figures[f"{victim} killed → generated and posted again"] = (
        f"{time.monotonic() - begin:.0f} s; the job at work {fate}"
    )
    assert "posted tweet" in said
    check_books(release, before)
