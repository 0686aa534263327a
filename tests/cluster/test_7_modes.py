"""The same bot in a pool, without a server, with one of its own again, and with one that sleeps.

Each generates and promotes; a pool and no server post too.
"""

import json
import time
from collections.abc import Callable

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, wait
from tests.cluster.rollouts import BETTER, asking, copy

POOL = {"main": {"replicas": 1, "cpu": "100m", "memoryGb": 2}}
ON = ("--on", "kubernetes")
Switch = Callable[..., None]


@pytest.fixture
def switch(release: str, images: dict[str, str]) -> Switch:
    """Let the bot be served in another way."""

    def to(mode: str, pools: object = None, **serve: object) -> None:
        serve = {"mode": mode, "cpu": "100m", **serve}
        serving = {"pools": pools} if pools else {}
        flags = ("--set-json", f"bots.{BOT}.serve={json.dumps(serve)}", "--set-json", f"serving={json.dumps(serving)}")
        helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *flags, *WAITING)

    return to


@pytest.fixture(scope="module")
def other(release: str, serving: str) -> str:
    """Another model of the bot's, whole and no worse."""
    return copy(release, serving, "20990102T000000-00000005", BETTER)


def loop(release: str) -> None:
    """Generate, approve, post."""
    kube.generate_until(release, lambda: bool(kube.candidates(release)))
    kube.run_job(release, "generate", "curate", BOT, "approve", *kube.candidates(release))
    before = kube.posts(release)
    assert "posted tweet" in kube.run_job(release, "post", "post", BOT)
    assert len(kube.posts(release)) == len(before) + 1


def promote(release: str, model: str) -> None:
    kube.mynah("promote", BOT, model, *ON, "--force", "--namespace", release)
    assert kube.current(release) == model


def test_a_pool_changes_a_bots_model_under_load(
    release: str, serving: str, other: str, images: dict[str, str], switch: Switch, figures: dict[str, str]
) -> None:
    switch("pool", pools=POOL, pool="main")
    wait(
        "the bot's own server to go", lambda: not kube.find(release, "pods", _component="serving", **{"mynah/bot": BOT})
    )
    with asking(release, images["client"]) as load:
        wait("an answer of the current model", lambda: load.last_model() == serving)
        before = len(load.all())
        begin = time.monotonic()
        promote(release, other)
        wait("answers of the new model", lambda: load.last_model() == other)
        figures["a pool: promoted, and answering with it"] = f"{time.monotonic() - begin:.0f} s"
        requests = load.all()[before:]
    assert [request for request in requests if not request.ok] == []
    assert list(dict.fromkeys(request.what for request in requests)) == [serving, other]
    figures["requests while a pool changes a model"] = f"{len(requests)} sent, 0 failed"
    loop(release)
    promote(release, serving)


def test_a_bot_without_a_server(
    release: str, serving: str, other: str, switch: Switch, figures: dict[str, str]
) -> None:
    switch("none")
    wait("its servers to go", lambda: not kube.find(release, "pods", _component="serving"))
    begin = time.monotonic()
    said = kube.run_job(release, "generate")
    figures["a generate that has its own server, from its job's creation to its end"] = (
        f"{time.monotonic() - begin:.0f} s"
    )
    assert f"model {serving} wrote 16 texts" in said
    promote(release, other)
    assert f"model {other} wrote 16 texts" in kube.run_job(release, "generate")
    loop(release)
    promote(release, serving)


def test_a_server_of_its_own_again(release: str, serving: str, switch: Switch) -> None:
    """It begins without a model, as an installation does, and promote brings the current one."""
    switch("own")
    promote(release, serving)
    assert kube.serving_model(release) == serving
    assert f"model {serving} wrote 16 texts" in kube.run_job(release, "generate")


def falls_asleep(release: str) -> None:
    """Its pods are gone: one that is just being ended still answers."""
    wait(
        "the bot's server to sleep", lambda: not kube.find(release, "pods", _component="serving", **{"mynah/bot": BOT})
    )
    assert not kube.rows(release, "SELECT * FROM wanted WHERE until > now()")


def test_a_server_that_sleeps_until_it_is_asked(
    release: str, serving: str, other: str, switch: Switch, figures: dict[str, str]
) -> None:
    if not kube.run("kubectl", "get", "crd", "scaledobjects.keda.sh", "--ignore-not-found").stdout:
        pytest.skip("this cluster has no KEDA")
    switch("own", replicas=0, sleep_after=5)
    falls_asleep(release)
    begin = time.monotonic()
    said = kube.run_job(release, "generate")
    figures["a generate that wakes its server, from its job's creation to its end"] = (
        f"{time.monotonic() - begin:.0f} s"
    )
    assert f"model {serving} wrote 16 texts" in said
    falls_asleep(release)
    begin = time.monotonic()
    promote(release, other)
    figures["a promotion while the server sleeps"] = f"{time.monotonic() - begin:.0f} s"
    assert kube.rows(release, f"SELECT * FROM refused WHERE model = '{other}'") == []
    falls_asleep(release)
    kube.mynah("rollback", BOT, *ON, "--namespace", release)
    assert (kube.current(release), kube.serving_model(release)) == (serving, serving)
    falls_asleep(release)
    assert f"model {serving} wrote 16 texts" in kube.run_job(release, "generate")


def test_one_that_is_to_sleep_no_more_is_there(release: str, serving: str, switch: Switch) -> None:
    switch("own")
    wait("the bot's server", lambda: kube.serving_pods(release))
    assert f"model {serving} wrote 16 texts" in kube.run_job(release, "generate")
