"""`skaffold run` gives the same as `helm install`, and `skaffold delete` leaves what the notes say."""

import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import kube
from tests.cluster.conftest import SKAFFOLD
from tests.cluster.kube import RELEASE, helm, inspect_image, kubectl, run

# Of these, a release's objects alone; pods and what KServe makes have random names.
KINDS = "cronjobs,statefulsets,services,configmaps,secrets,serviceaccounts,roles,networkpolicies,inferenceservices"


@pytest.fixture(scope="module")
def ran(release: str, images: dict[str, str], skaffold: list[str], figures: dict[str, str]) -> Iterator[str]:
    """What README says, to the letter; the namespace."""
    # What the profile `local` runs, too.
    helm(release, "upgrade", RELEASE, kube.CHART, "--reuse-values", "--set", "play.enabled=true")
    here = objects(release)
    helm(release, "uninstall", RELEASE, "--wait", "--timeout=10m")  # both would not fit on two cores
    kube.make_namespace(SKAFFOLD)
    begin = time.monotonic()
    run("skaffold", "run", *skaffold, timeout=1500)
    kube.wait_until_ready(SKAFFOLD)
    figures["skaffold run, images built before"] = f"{time.monotonic() - begin:.0f} s"
    assert objects(SKAFFOLD) == here
    yield SKAFFOLD
    kube.delete_namespace(SKAFFOLD)


def objects(namespace: str) -> set[str]:
    """The names of a release's objects."""
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/managed-by=Helm"
    return set(kubectl(namespace, "get", KINDS, "-l", selector, "-o", "name").split())


def test_skaffold_run_ends_in_the_state_of_helm_install(ran: str) -> None:
    said = helm(ran, "test", RELEASE, "--timeout=8m")
    assert said.count("Phase:          Succeeded") == 4, said


def test_skaffold_delete_leaves_what_the_notes_say_and_no_more(ran: str, skaffold: list[str]) -> None:
    notes = helm(ran, "get", "notes", RELEASE)
    run("skaffold", "delete", *skaffold)
    claims = {f"persistentvolumeclaim/data-{RELEASE}-{part}-0" for part in ("postgres", "store")}
    secrets = {f"secret/{RELEASE}-{part}" for part in ("postgres", "store")}
    kube.wait("the last pods to go", lambda: kube.leftovers(ran) == claims | secrets)
    assert all(claim.partition("/")[2] in notes for claim in claims)
    assert "the Secrets with their passwords" in notes

    (command,) = re.findall(r"^ *(kubectl .*delete pvc,secret.*)$", notes, re.MULTILINE)
    run(*shlex.split(command))
    kube.wait("an empty namespace", lambda: not kube.leftovers(ran))


def test_a_change_of_one_file_rebuilds_one_layer(
    images: dict[str, str], skaffold: list[str], figures: dict[str, str], tmp_path: Path
) -> None:
    changed = tmp_path / "mynah"
    shutil.copytree(kube.ROOT, changed, ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__"))
    with (changed / "jobs" / "status.py").open("a") as file:
        file.write("# changed\n")
    begin = time.monotonic()
    run("skaffold", "build", *skaffold, "--file-output", tmp_path / "builds.json", cwd=changed, timeout=1500)
    figures["skaffold build after a change to one file"] = f"{time.monotonic() - begin:.0f} s"
    builds = json.loads((tmp_path / "builds.json").read_text())["builds"]
    rebuilt = {build["imageName"].removeprefix("mynah/"): inspect_image(build["tag"])[1] for build in builds}
    built = {part: inspect_image(images[part])[1] for part in rebuilt}
    assert rebuilt["jobs"][:-1] == built["jobs"][:-1]
    assert rebuilt["jobs"][-1] != built["jobs"][-1]
    assert rebuilt["training"] == built["training"]
    assert rebuilt["serving"] == built["serving"]
