"""What the cluster's tests share: images, one installation with a trained and served model, and the figures.

`make test-cluster` provides the cluster. The files' numbers are the order in which a bot's life goes; the Ray cluster
trains while the files before test_5 run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, kubectl, run, wait

NAMESPACE = "mynah-test"
EMPTY = "mynah-test-empty"
UPGRADE = "mynah-test-upgrade"
SKAFFOLD = "bots"  # as skaffold.yaml says
# Ends when Ray's record says that the checkpoint of step 3, of 6, is whole.
CHECKPOINT = f"""
until grep -q '"checkpoint_dir_name": *"checkpoint_00000003"' /data/mynah/{BOT}/runs/*/checkpoint_manager_snapshot.json
do sleep 0.2; done 2> /dev/null
ls /data/mynah/{BOT}/runs/*
"""

FIGURES = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}
    # helm comes with the development packages.
    os.environ["MYNAH_USER"] = kube.USER
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where a test failed, show what its namespaces look like."""
    report = (yield).get_result()
    if report.failed:
        report.sections.append(("cluster", kube.describe(kube.ours())))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    terminalreporter.section("figures")
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        terminalreporter.line(f"{name:<{width}}  {value}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """What was measured, by name; printed at the end."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def skaffold() -> list[str]:
    """Flags of skaffold that suit this machine and this cluster."""
    profiles = ["local"] + (["buildah"] if kube.container_tool() == "buildah" else [])
    repository = os.environ.get("MYNAH_TEST_REPO")
    return ["-p", ",".join(profiles), *(["--default-repo", repository] if repository else [])]


@pytest.fixture(scope="session")
def images(skaffold: list[str], figures: dict[str, str]) -> dict[str, str]:
    """All images, built once and where the cluster finds them: jobs, training, serving, client, 0.1.0-jobs …"""
    for tool in ("kubectl", "helm", "skaffold", kube.container_tool()):
        assert shutil.which(tool), f"{tool} is not on PATH"
    begin = time.monotonic()
    with tempfile.NamedTemporaryFile() as file:
        command = ("skaffold", "build", "-f", "tests/cluster/skaffold.yaml", *skaffold, "--file-output", file.name)
        run(*command, timeout=1700)
        builds = json.load(file)["builds"]
    figures["images built"] = f"{time.monotonic() - begin:.0f} s"
    images = {build["imageName"].removeprefix("mynah/").removeprefix("test-"): build["tag"] for build in builds}
    for part in ("jobs", "training", "serving"):
        tag = images[part].partition("@")[0]
        size = run(kube.container_tool(), "images", "--format", "{{.Size}}", tag).stdout.split("\n")[0]
        figures[f"image {part}"] = f"{size}, unpacked"
    return images


@pytest.fixture(scope="session")
def empty() -> Iterator[str]:
    """A namespace in which nothing is installed."""
    yield kube.make_namespace(EMPTY)
    kube.delete_namespace(EMPTY)


@pytest.fixture(scope="session")
def release(images: dict[str, str], figures: dict[str, str]) -> Iterator[str]:
    """The bot, installed with everything inside the cluster; the namespace."""
    kube.make_namespace(NAMESPACE)
    begin = time.monotonic()
    helm(NAMESPACE, "install", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)
    figures["helm install --wait"] = f"{time.monotonic() - begin:.0f} s"
    kube.wait_until_ready(NAMESPACE)
    figures["install → all ready"] = f"{time.monotonic() - begin:.0f} s"
    yield NAMESPACE
    kube.delete_namespace(NAMESPACE)


@dataclass
class Training:
    """`mynah train --on kubernetes`, at work on this machine."""

    process: "subprocess.Popen[str]"
    begin: float
    lines: list[str] = field(default_factory=list)
    """What it has said so far."""
    killed: str = ""
    """The Ray head's pod that was killed, once it is."""
    worker: str = ""
    """The worker's pod that was killed after that, once it is."""
    checkpoint: str = ""
    """What the bucket held of the run just before."""
    seconds: float = 0


@pytest.fixture(scope="session")
def training(release: str) -> Iterator[Training]:
    """A training that goes on in the background; its Ray head is killed once there is a checkpoint, then a worker."""
    kube.run_job(release, "scrape")
    command = [sys.executable, "-m", "mynah", "train", BOT, "--on", "kubernetes", "--namespace", release]
    process = subprocess.Popen(
        command, cwd=kube.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    training = Training(process, time.monotonic())

    def listen() -> None:
        for line in process.stdout or ():
            training.lines.append(kube.without_colours(line.rstrip()))
        training.seconds = time.monotonic() - training.begin

    def kill_both() -> None:
        # Asked in the pod, and with the head's name at hand: the next three steps take a few seconds.
        heads = wait("the Ray head", lambda: kube.find(release, "pods", **{"ray.io/node-type": "head"}), within=600)
        script = ("exec", f"{RELEASE}-store-0", "-c", "store", "--", "sh", "-c", CHECKPOINT)
        training.checkpoint = kubectl(release, *script, timeout=900)
        head = heads[0]["metadata"]["name"]
        kube.kill(release, head)
        training.killed = head
        resumed = "SELECT line FROM run_lines WHERE line LIKE '%going on from step 3'"
        wait("the second head's workers to be at their steps", lambda: kube.rows(release, resumed), within=600)
        # The last three steps and what is measured after them take longer than this.
        workers = kube.find(release, "pods", **{"ray.io/node-type": "worker"})
        training.worker = workers[-1]["metadata"]["name"]
        kube.kill(release, training.worker)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    threading.Thread(target=kill_both, daemon=True).start()
    yield training
    process.kill()
    listener.join()


@pytest.fixture(scope="session")
def model(training: Training, release: str) -> str:
    """The id of the model that the training has made."""
    status = training.process.wait(timeout=1500)
    said = "\n".join(training.lines)
    assert status == 0, said
    (id,) = models(release)
    return id


def models(namespace: str) -> list[str]:
    """The ids of the bot's whole models in the bucket, the oldest first."""
    script = (
        "import os\nfrom mynah.bucket import Bucket\n"
        f"print(*(m['id'] for m in Bucket(os.environ['MYNAH_BUCKET']).manifests({BOT!r}, 'models')))"
    )
    return sorted(kube.run_job(namespace, "scrape", script=script).split())


@pytest.fixture(scope="session")
def serving(model: str, release: str, figures: dict[str, str]) -> str:
    """The id of the model that serves: the trained one, promoted."""
    begin = time.monotonic()
    kube.mynah("promote", BOT, "--on", "kubernetes", "--namespace", release)
    figures["first promote"] = f"{time.monotonic() - begin:.0f} s"
    return model
