"""Values that nobody may install: refused with the right key or a sentence, before anything is applied."""

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, run

TYPOS = {
    "postgress.kind=local": 'Property name of "postgress" does not match … "postgres"',
    "xsimulator.enabled=true": '"xsimulator" does not match … "xSimulator"',
    "jobs.memroy=1Gi": '"memroy" does not match … "memory"',
    f"bots.{BOT}.post.shcedule=daily": '"shcedule" does not match … "schedule"',
    f"bots.{BOT}.serve.mode=standard": f'bots.{BOT}.serve.mode must be one of the following: "own", "pool", "none"',
    f"bots.{BOT}.train.max_step=5": '"max_step" does not match … "max_steps"',
    f"bots.{BOT}.sources.work.seperator=x": '"seperator" does not match … "separator"',
    "bots.Fortune.description=x": "Fortune",
    "postgres.kind=sqlite": 'postgres.kind must be one of the following: "local", "cloudnativepg", "external"',
    f"bots.{BOT}.post.schedule=daily": f"bots.{BOT}.post.schedule: Does not match pattern",
    f"bots.{BOT}.serve.memory=2 GB": f"bots.{BOT}.serve.memory: Does not match pattern",
    f"bots.{BOT}.train.max_steps=many": f"bots.{BOT}.train.max_steps",
}
COMBINATIONS = {
    "postgres.kind=external": "postgres.kind is external: set postgres.secret to the Secret that holds",
    "postgres.secret=mine": "postgres.secret is set, but postgres.kind is local",
    "store.kind=s3": "store.kind is s3: set store.secret, or store.serviceAccountAnnotations",
    "store.kind=gs,store.secret=mine,store.endpoint=https://x": "store.endpoint is set, but store.kind is gs",
    "store.secret=mine": "store.secret is set, but store.kind is local",
    "store.bucket=mynah/folder": "store.bucket: a local store's bucket is one name without a folder",
    f"bots.{BOT}.serve.accelerator=gpu": f"bots.{BOT}.serve.accelerator is gpu: the GPU runtime cannot wait",
    f"bots.{BOT}.serve.mode=pool": f"bots.{BOT}.serve.mode is pool: set bots.{BOT}.serve.pool to one of serving.pools",
    f"bots.{BOT}.accounts.news.kind=x": f"bots.{BOT}.post stands beside accounts: keep one of them",
    f"bots.{BOT}.serve.replicas=3,bots.{BOT}.serve.max_replicas=2": "max_replicas is 2, below replicas (3)",
}


@pytest.mark.parametrize(("flag", "said"), [*TYPOS.items(), *COMBINATIONS.items()], ids=[*TYPOS, *COMBINATIONS])
def test_refused(empty: str, flag: str, said: str) -> None:
    done = run("helm", "-n", empty, "install", RELEASE, CHART, *VALUES, "--set", flag, check=False)
    assert done.returncode == 1
    rest = done.stderr
    for part in said.split(" … "):
        assert part in rest
        rest = rest.partition(part)[2]


def test_and_nothing_was_applied(empty: str) -> None:
    assert kube.leftovers(empty) == set()
    assert run("helm", "-n", empty, "list", "--all", "--short").stdout == ""
