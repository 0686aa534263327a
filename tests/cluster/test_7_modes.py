"""The same bot in a pool, without a server, with one of its own again, and with one that sleeps.

Each generates and promotes, and people play with it; a pool and no server post too.
"""

import json
import time
from collections.abc import Callable

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, kubectl, wait
from tests.cluster.players import play, playing
from tests.cluster.rollouts import BETTER, asking, copy

POOL = {"main": {"replicas": 1, "cpu": "100m", "memoryGb": 2}}
# A hundred people of one address, who ask again and again, are more than one address may.
PLAY = ("--set", "play.enabled=true,play.replicas=2,play.requestsPerMinute=0")
ON = ("--on", "kubernetes")
KNOWN = "A known prompt"
Switch = Callable[..., None]


@pytest.fixture
def switch(release: str, images: dict[str, str]) -> Switch:
    """Let the bot be served in another way."""

    def to(mode: str, pools: object = None, **serve: object) -> None:
        serve = {"mode": mode, "cpu": "100m", **serve}
        serving = {"pools": pools} if pools else {}
        flags = ("--set-json", f"bots.{BOT}.serve={json.dumps(serve)}", "--set-json", f"serving={json.dumps(serving)}")
        helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *flags, *PLAY, *WAITING)

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
    wait("an answer of the pool's", lambda: play(release, images["client"], KNOWN)[0].ok)


def test_a_bot_without_a_server(
    release: str, serving: str, other: str, images: dict[str, str], switch: Switch, figures: dict[str, str]
) -> None:
    switch("none")
    wait("its servers to go", lambda: not kube.find(release, "pods", _component="serving"))
    (unknown,) = play(release, images["client"], f"Is {time.time()} known?")
    assert f"{BOT} has no model server (serve.mode none): it answers known prompts alone" in unknown.why
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


def counts(release: str) -> dict[str, int]:
    """How often the bot was asked, and how often for something new."""
    found = kube.rows(release, f"SELECT what, sum(number)::int AS n FROM play_days WHERE bot = '{BOT}' GROUP BY what")
    return {row["what"]: row["n"] for row in found}


def test_people_play_with_a_server_that_sleeps(
    release: str, serving: str, images: dict[str, str], switch: Switch, figures: dict[str, str]
) -> None:
    if not kube.run("kubectl", "get", "crd", "scaledobjects.keda.sh", "--ignore-not-found").stdout:
        pytest.skip("this cluster has no KEDA")
    client = images["client"]
    switch("own", replicas=0, sleep_after=5)
    (first,) = play(release, client, KNOWN)  # known from the pool's time, where that was tested
    assert first.ok, first.why

    falls_asleep(release)
    before = counts(release)
    (again,) = play(release, client, KNOWN)
    assert (again.texts, again.waits) == (first.texts, [])
    assert counts(release) == {**before, "visit": before["visit"] + 1}
    falls_asleep(release)  # nobody has wanted it
    figures["a known prompt, while the model server sleeps"] = f"{again.seconds:.2f} s"

    prompt = f"At {time.time():.0f} the wise"
    people = play(release, client, prompt, times=100, wait=0)
    (server,) = kube.find(release, "pods", _component="serving", **{"mynah/bot": BOT})
    assert kube.requests_of(release, server, "vllm:request_success_total") == 20  # texts: one answer's
    assert [each.why for each in people if not each.ok] == []
    assert len(people) == 100
    assert len({tuple(each.texts) for each in people}) == 1
    phases = {phase for each in people for phase, _ in each.waits}
    assert phases >= {"waking the model"}
    assert phases <= {"waiting for a writer", "waking the model", "writing"}
    assert all(waits == sorted(waits, key=lambda each: each[1]) for waits in (each.waits for each in people))
    assert counts(release) == {**before, "visit": before["visit"] + 101, "prompt": before["prompt"] + 1}
    made = f"FROM answers JOIN prompts ON prompts.id = prompt_id WHERE key = '{prompt.lower()}'"
    assert kube.rows(release, f"SELECT model, state {made}") == [{"model": serving, "state": "written"}]
    figures["100 equal prompts that wake the model server"] = (
        f"1 answer written, {max(each.seconds for each in people):.0f} s until the last has it"
    )

    with playing(release, client, f"At {time.time():.0f}, with haste") as told:
        kubectl(release, "rollout", "restart", f"deployment/{RELEASE}-play")
        kubectl(release, "rollout", "status", f"deployment/{RELEASE}-play", "--timeout=200s")
        wait("the old pods to go", lambda: len(kube.find(release, "pods", _component="play")) == 2)
    assert [each.why for each in told if not each.ok] == []
    figures["prompts while `mynah play` is rolled out"] = f"{len(told)} asked, 0 failed"


def test_nobody_from_elsewhere_plays(release: str, empty: str, images: dict[str, str]) -> None:
    connect = (
        f"import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('{RELEASE}-play.{release}', 80)))"
    )
    (said,) = kube.run_pods(empty, kube.pod("stranger", images["client"], ["python", "-c", connect]))
    assert said.strip() != "0"  # an errno


def test_one_that_is_to_sleep_no_more_is_there(release: str, serving: str, switch: Switch) -> None:
    switch("own")
    wait("the bot's server", lambda: kube.serving_pods(release))
    assert f"model {serving} wrote 16 texts" in kube.run_job(release, "generate")
