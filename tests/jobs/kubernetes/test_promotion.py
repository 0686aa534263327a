"""Promotion and rollback of an InferenceService, spoken with over HTTP by the real clients."""

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from jobs import judging
from jobs.kubernetes import client, rollout
from jobs.kubernetes.client import Cluster
from jobs.kubernetes.rollout import InferenceService
from jobs.promote import promote, rollback
from mynah.bot import Bot, Promote, Serve
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from tests.jobs.kubernetes.conftest import NEW, NOW, OLD
from tests.jobs.kubernetes.stand_in import Model, StandIn, cluster_at

ROOT = Path(__file__).parents[3]


@pytest.fixture
def history(connection: Connection) -> None:
    """OLD was promoted, and then NOW."""
    for model in (OLD, NOW):
        served.carry_out(connection, served.ask(connection, "demo", model, "promoted").id)


def is_settled(connection: Connection, stand_in: StandIn, current: str) -> None:
    """Postgres and the cluster say the same, and nothing is under way."""
    now = served.current(connection, "demo")
    assert now
    assert (now.model, stand_in.model, stand_in.answers) == (current, current, current)
    assert served.pending(connection, "demo") is None
    assert stand_in.canary is None


def test_a_good_model_takes_over(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    done = promote(bot, bucket, connection, service)
    assert (done.model, done.previous, done.changed) == (NEW, NOW, True)
    assert f"{NEW} is demo's current model, before it {NOW}" in done.summary()
    assert "0.990 nats per character" in done.checks["dev loss"]
    is_settled(connection, stand_in, NEW)
    assert (previous := served.previous(connection, "demo"))
    assert previous.model == NOW
    (row, *_) = served.history(connection, "demo", 1)
    assert row.why.startswith("promoted: dev loss 2.970")
    assert promote(bot, bucket, connection, service).changed is False


def test_the_intention_is_written_before_the_cluster_is_changed(
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    database_url: str,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    seen = []

    def look(what: str) -> None:
        if what.startswith("PATCH"):
            with client_connection(database_url) as other:
                asked = served.pending(other, "demo")
                seen.append(asked and asked.model)

    stand_in.after = look
    promote(bot, bucket, connection, service)
    assert seen == [NEW, NEW, NEW]  # the canary comes, goes, and the predictor is changed


def client_connection(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True)


# --- fault 1: what serves now is no reason against the new model


@pytest.mark.parametrize("fault", [Model(status=500), Model(status=503), Model(text="")], ids=["500", "503", "mute"])
@pytest.mark.parametrize("verb", [promote, rollback])
def test_a_broken_model_is_left_by_promote_and_by_rollback(
    verb: Callable[..., object],
    fault: Model,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    stand_in.models[NOW] = fault
    verb(bot, bucket, connection, service)
    is_settled(connection, stand_in, NEW if verb is promote else OLD)
    assert set(served.refused(connection, "demo")) == (set() if verb is promote else {NOW})


def test_a_rollback_leaves_a_model_whose_pods_never_came_up(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    stand_in.models[NOW] = Model(loads=False)
    stand_in.answers = OLD
    rollback(bot, bucket, connection, service)
    is_settled(connection, stand_in, OLD)


def test_speed_is_compared_only_with_a_model_that_answers(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    hasty = bot.model_copy(update={"promote": Promote(max_slowdown=2)})
    stand_in.models[NEW] = Model(seconds=1)
    with pytest.raises(MynahError, match=r"more than promote.max_slowdown \(2\) times as long"):
        promote(hasty, bucket, connection, service)
    is_settled(connection, stand_in, NOW)
    assert "max_slowdown" in served.refused(connection, "demo")[NEW]
    stand_in.models[NOW] = Model(status=500)
    done = promote(hasty, bucket, connection, service, NEW)
    assert "not compared, the model that serves now fails: http://demo" in done.checks["median latency"]
    is_settled(connection, stand_in, NEW)
    assert served.refused(connection, "demo") == {}


def test_a_server_that_tells_no_id_is_believed_by_its_folder(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    """As vLLM's on a GPU, with the model that the values name for a beginning."""
    for model in (OLD, NOW, NEW):
        stand_in.models[model] = Model(tells=False)
    promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NEW)
    rollback(bot, bucket, connection, service)
    is_settled(connection, stand_in, NOW)


# --- a model that sleeps


@pytest.fixture
def sleeper(bot: Bot) -> Bot:
    return bot.model_copy(update={"serve": Serve(replicas=0)})


@pytest.fixture
def sleeping(cluster: Cluster, sleeper: Bot, bucket: Bucket) -> InferenceService:
    return InferenceService(cluster, sleeper, bucket)


@pytest.mark.parametrize("verb", [promote, rollback])
def test_a_change_waits_until_the_new_model_is_awake(
    verb: Callable[..., object],
    sleeper: Bot,
    bucket: Bucket,
    connection: Connection,
    sleeping: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    """KEDA takes its time."""
    looks = itertools.count()
    stand_in.replicas = lambda: int(next(looks) > 5)
    verb(sleeper, bucket, connection, sleeping)
    assert next(looks) > 6
    is_settled(connection, stand_in, NEW if verb is promote else OLD)


def test_a_model_that_nobody_wakes_is_not_held_against_it(
    sleeper: Bot,
    bucket: Bucket,
    connection: Connection,
    sleeping: InferenceService,
    stand_in: StandIn,
    history: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollout, "READY_WITHIN", 0.2)
    stand_in.replicas = lambda: 0
    with pytest.raises(MynahError, match="it sleeps, and KEDA does not wake it: see `kubectl describe scaledobject"):
        promote(sleeper, bucket, connection, sleeping)
    assert served.refused(connection, "demo") == {}
    assert stand_in.model == NOW


# --- fault 2: refused is what was judged bad, and nothing else


def test_a_model_that_errs_is_refused(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    stand_in.models[NEW] = Model(status=500)
    with pytest.raises(MynahError, match=f"{NEW} is not promoted, {NOW} goes on serving demo: .* answers 500"):
        promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NOW)
    assert set(served.refused(connection, "demo")) == {NEW}
    again = promote(bot, bucket, connection, service)
    assert not again.changed
    assert f"was refused before; `mynah promote demo {NEW}` tries again" in again.summary()


TROUBLE = {
    "409": ("PATCH.* canary", 409, "somebody else changed it at the same moment"),
    "500 on the change": (f"PATCH.* {NEW}", 500, "no luck with"),
    "503 on the canary": ("POST demo-canary-predictor", 503, "answers 503"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_with_the_cluster_is_not_held_against_the_model(
    trouble: str,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    stand_in: StandIn,
    history: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, status, says = TROUBLE[trouble]
    monkeypatch.setattr(client, "RETRIES", 0)
    monkeypatch.setattr(judging, "REACHED_WITHIN", 0.0)
    service = InferenceService(cluster_at(stand_in.url), bot, bucket)
    stand_in.fail = lambda what: status if re.match(where, what) else None
    with pytest.raises(MynahError, match=f"{NEW} is not promoted.*{says}.*it is not refused: try again"):
        promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NOW)
    assert served.refused(connection, "demo") == {}
    stand_in.fail = lambda _: None
    assert promote(bot, bucket, connection, service).model == NEW


@pytest.mark.parametrize("status", [409, 500, 503])
def test_what_the_api_server_refuses_once_is_asked_again(
    status: int,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    failed = set()

    def once(what: str) -> int | None:
        first = " /apis/" in what and what not in failed
        failed.add(what)
        return status if first else None

    stand_in.fail = once
    promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NEW)
    assert len(failed) > 5


PODS = {
    "cannot be scheduled": (Model(loads=False, waits="0/1 nodes: Insufficient memory"), "Insufficient memory"),
    "is ended for its memory": (Model(loads=False, exit_code=137), r"kserve-container fails \(exit 137\): Error"),
    "cannot fetch": (
        Model(loads=False, container="storage-initializer", said=("botocore.EndpointConnectionError: x", "")),
        "storage-initializer fails .*EndpointConnectionError",
    ),
}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_that_the_cluster_keeps_from_running_is_not_the_models_fault(
    pod: str,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in.models[NEW], says = PODS[pod]
    monkeypatch.setattr(rollout, "READY_WITHIN", 0.1)
    with pytest.raises(MynahError, match=f"{says}.*it is not refused: try again"):
        promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NOW)
    assert served.refused(connection, "demo") == {}


def test_an_api_server_that_is_away_after_the_change_leaves_the_rest_to_the_next_run(
    bot: Bot, bucket: Bucket, connection: Connection, stand_in: StandIn, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRIES", 0)
    monkeypatch.setattr(rollout, "READY_WITHIN", 0.1)
    service = InferenceService(cluster_at(stand_in.url), bot, bucket)
    away = []
    stand_in.after = lambda what: away.append(what) if what.endswith(f" {NEW}") else None
    stand_in.fail = lambda what: 503 if away and " /apis/" in what else None
    with pytest.raises(MynahError, match=f"the change of demo to {NEW} has not ended .* run this again to end it"):
        promote(bot, bucket, connection, service)
    assert (asked := served.pending(connection, "demo"))
    assert asked.model == NEW
    away.clear()
    stand_in.after = lambda _: None
    assert promote(bot, bucket, connection, service).summary() == f"{NEW} is demo's current model already"
    is_settled(connection, stand_in, NEW)


# --- fault 20: the words of the container that failed


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ("INFO reading 68 MB\nmynah: openvino_model.bin is cut short\nINFO bye", "INFO reading 68 MB", "is cut short"),
        ("Traceback\nRuntimeError: no such layer\nINFO bye", "INFO reading", "RuntimeError: no such layer"),
        ("", "mynah: no openvino folder", "no openvino folder"),
        ("Killed by a ghost", "INFO reading", "Killed by a ghost"),
    ],
)
def test_a_model_that_does_not_load_is_refused_with_its_last_complaint(
    before: str,
    now: str,
    says: str,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    stand_in.models[NEW] = Model(loads=False, said=(before, now))
    with pytest.raises(MynahError, match=rf"kserve-container fails \(exit 1\): .*{says}$"):
        promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NOW)
    assert served.refused(connection, "demo")[NEW].endswith(says)


# --- fault 3: killed at any point

KILLS = {
    "before the canary": ("fail", "PATCH.*canary"),
    "after the canary": ("after", "PATCH.*canary"),
    "while it is judged": ("after", "POST demo-canary-predictor"),
    "before the change": ("fail", f"PATCH.* {NEW}"),
    "after the change": ("after", f"PATCH.* {NEW}"),
    "when it has been seen to serve": ("after", "POST demo/"),
}


def kill(stand_in: StandIn, when: str, bucket: Bucket, database_url: str) -> None:
    """Promote in a process of its own, which is killed then."""
    moment, where = KILLS[when]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.kubernetes.killed", stand_in.url, bucket.url, database_url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        pid = int(process.stdout.readline())

        def strike(what: str) -> int | None:
            changed = any(asked.endswith(f" {NEW}") for asked in stand_in.asked)
            if re.match(where, what) and (changed or not where.startswith("POST demo/")):
                os.kill(pid, signal.SIGKILL)
                return 500
            return None

        setattr(stand_in, moment, strike)
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.returncode == -signal.SIGKILL
    stand_in.fail, stand_in.after = lambda _: None, lambda _: None


@pytest.mark.slow
@pytest.mark.parametrize("when", KILLS)
def test_a_promotion_that_was_killed_is_ended_by_the_next(
    when: str,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    database_url: str,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    kill(stand_in, when, bucket, database_url)
    assert served.pending(connection, "demo")
    promote(bot, bucket, connection, service)
    is_settled(connection, stand_in, NEW)
    assert [row.why[:8] for row in served.history(connection, "demo", 1)] == [
        "promoted"
    ]  # what was intended, carried out
    assert (previous := served.previous(connection, "demo"))
    assert previous.model == NOW
    assert served.refused(connection, "demo") == {}


@pytest.mark.parametrize(("when", "back_to"), [("after the canary", OLD), ("after the change", NOW)])
def test_a_rollback_after_a_killed_promotion_goes_back_from_what_serves(
    when: str,
    back_to: str,
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    database_url: str,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
) -> None:
    stand_in.models[NEW] = Model(loads=when != "after the change")  # and it need not work for that
    if when == "after the canary":
        kill(stand_in, when, bucket, database_url)
    else:
        half_done(connection, stand_in)
    rollback(bot, bucket, connection, service)
    is_settled(connection, stand_in, back_to)


def half_done(connection: Connection, stand_in: StandIn) -> None:
    """What is left where a promotion was killed just after the change, to a model that then does not come up."""
    served.ask(connection, "demo", NEW, "promoted")
    stand_in.model = NEW


def test_a_rollback_that_was_interrupted_is_ended_and_goes_back_once(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    promote(bot, bucket, connection, service)
    served.refuse(connection, "demo", NEW, "rolled back from")
    served.ask(connection, "demo", NOW, f"rolled back from {NEW}")
    stand_in.model = stand_in.answers = NOW
    assert "the rollback that was interrupted has ended" in rollback(bot, bucket, connection, service).summary()
    is_settled(connection, stand_in, NOW)
    rollback(bot, bucket, connection, service)
    is_settled(connection, stand_in, OLD)


def test_a_change_that_was_interrupted_and_does_not_come_up_is_put_back(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    half_done(connection, stand_in)
    stand_in.models[NEW] = Model(loads=False, said=("mynah: it is broken", ""))
    again = promote(bot, bucket, connection, service)
    assert "was refused before" in again.summary()
    is_settled(connection, stand_in, NOW)


def test_two_at_once_do_not_get_into_each_others_way(
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    database_url: str,
    service: InferenceService,
    stand_in: StandIn,
    history: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.promote.FREED_WITHIN", 0.0)
    with client_connection(database_url) as other, served.change_lock(other, "demo") as alone:
        assert alone
        with pytest.raises(MynahError, match="another promotion or rollback of demo is at work"):
            promote(bot, bucket, connection, service)
    assert stand_in.asked == []


# --- what serves that nobody asked for here


def test_what_0_2_0_served_previous_and_refused_is_taken_over(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn
) -> None:
    bucket.write(f'{{"previous": "{OLD}", "refused": ["{NEW}"]}}'.encode(), "demo", "promotion.json")
    assert "was refused before" in promote(bot, bucket, connection, service).summary()
    is_settled(connection, stand_in, NOW)
    assert [(row.model, row.why) for row in served.history(connection, "demo", 9)] == [
        (NOW, "served before 0.3.0"),
        (OLD, "served before 0.3.0"),
    ]
    assert served.refused(connection, "demo") == {NEW: "refused before 0.3.0"}
    rollback(bot, bucket, connection, service)
    is_settled(connection, stand_in, OLD)


def test_a_first_model_needs_no_comparison(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn
) -> None:
    stand_in.model = stand_in.answers = "none"
    done = promote(bot, bucket, connection, service, OLD)
    assert (done.previous, done.changed) == (None, True)
    is_settled(connection, stand_in, OLD)
    with pytest.raises(MynahError, match="no model to go back to"):
        rollback(bot, bucket, connection, service)


def test_a_change_by_other_hands_is_written_down(
    bot: Bot, bucket: Bucket, connection: Connection, service: InferenceService, stand_in: StandIn, history: None
) -> None:
    stand_in.model = stand_in.answers = NEW
    assert "already" in promote(bot, bucket, connection, service).summary()
    (row, *_) = served.history(connection, "demo", 1)
    assert (row.model, row.why) == (NEW, "found serving: not changed by `mynah promote`")


def test_a_model_named_in_the_values_is_the_values_business(
    bot: Bot, bucket: Bucket, connection: Connection, stand_in: StandIn
) -> None:
    named = bot.model_copy(update={"serve": Serve(model=NOW)})
    service = InferenceService(cluster_at(stand_in.url), named, bucket)
    with pytest.raises(MynahError, match=r"serve.model of bot demo says how it is served"):
        promote(named, bucket, connection, service)
    assert stand_in.canary is None
