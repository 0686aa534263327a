"""What goes and what stays: nothing that is in use, named or worth keeping; and a kill in between is finished."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.prune import prune
from mynah.bot import Bot
from mynah.bucket import MANIFESTS, Bucket
from mynah.database import leases, runs, served, tweets
from mynah.database.connection import Connection, connect
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError

DAYS = [f"202601{day:02}T000000-0000000{day % 10}" for day in range(1, 10)]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(f"file://{tmp_path}/bucket")


def make_bot(**serve: str) -> Bot:
    return Bot(name="bird", sources={"s": {"kind": "file", "url": "unused.txt"}}, train={"keep_models": 2}, serve=serve)


def publish(bucket: Bucket, kind: str, id: str, **facts: Any) -> None:
    bucket.write(b"x" * 1000, "bird", kind, id, "big")
    manifest = {"id": id, "files": {"big": {"bytes": 1000, "sha256": ""}}, **facts}
    bucket.write(json.dumps(manifest).encode(), "bird", kind, id, MANIFESTS[kind])


def fill(bucket: Bucket, nats: dict[str, float] | None = None) -> None:
    """Nine models, each of a dataset of its own."""
    for id in DAYS:
        publish(bucket, "datasets", id)
        metrics = {"dev_nats_per_character": (nats or {}).get(id, 1.0)}
        publish(bucket, "models", id, dataset=id, metrics=metrics)


def begin(connection: Connection, id: str, dataset: str, base: str = "tiny", alive: bool = True) -> runs.Run:
    lease = f"bird/runs/{id.rpartition('-')[2]}"
    assert leases.take(connection, lease, "there:1 0", 60 if alive else -1)
    return runs.begin(
        connection, "bird", id, "train", lease=lease, holder="there:1 0", host="there", dataset=dataset, base=base
    )


def make_current(connection: Connection, model: str) -> None:
    served.carry_out(connection, served.ask(connection, "bird", model, "a test").id)


def test_what_is_kept_and_why(bucket: Bucket, connection: Connection) -> None:
    fill(bucket, {DAYS[0]: 0.5})
    make_current(connection, DAYS[1])
    make_current(connection, DAYS[2])
    served.ask(connection, "bird", DAYS[3], "a test")
    tweets.add_tweets(connection, "bird", [NewTweet("a text", model=DAYS[4])])
    begin(connection, "20260201T000000-abcdabcd", DAYS[5], base=f"s3://bots/bird/models/{DAYS[6]}")
    bot = make_bot(model=DAYS[5])
    shown = prune(bot, bucket, connection, dry_run=True)
    stays = {fate.folder[1]: fate.why for fate in shown.fates if fate.kind == "model" and not fate.goes}
    assert stays == {
        DAYS[0]: "the best: 0.500 nats per character",
        DAYS[1]: "the one before",
        DAYS[2]: "the current one",
        DAYS[3]: "about to be the current one",
        DAYS[4]: "it wrote 1 of the texts that are known",
        DAYS[5]: "serve.model names it",
        DAYS[6]: "run 1 starts from it",
        DAYS[7]: "one of the 2 newest",
        DAYS[8]: "one of the 2 newest",
    }
    assert shown.bytes == 0
    assert shown.summary().startswith("nothing to delete\n  stays  model ")


def test_a_dry_run_says_what_goes_and_deletes_nothing(bucket: Bucket, connection: Connection) -> None:
    fill(bucket)  # all as good: the newest counts as the best
    bucket.write(b"{}", "bird", "evaluations", DAYS[0], "samples.json")
    shown = prune(make_bot(), bucket, connection, dry_run=True)
    goes = [fate.folder for fate in shown.fates if fate.goes]
    assert goes == [(kind, id) for kind in ("models", "datasets") for id in reversed(DAYS[:7])]
    assert shown.bytes == 14_000
    first, second, *_ = shown.summary().splitlines()
    assert first == "would delete 14 folders, 0.0 MB"
    assert second.endswith("not one of the 2 newest, and nothing names it")
    assert len(bucket.names("bird", "models")) == len(bucket.names("bird", "datasets")) == 9

    done = prune(make_bot(), bucket, connection, dry_run=False)
    assert done.fates == shown.fates
    assert bucket.names("bird", "models") == bucket.names("bird", "datasets") == DAYS[7:]
    assert bucket.names("bird", "evaluations") == []
    again = prune(make_bot(), bucket, connection, dry_run=False)
    assert not any(fate.goes for fate in again.fates)


def test_a_dataset_stays_with_its_model_and_the_newest_for_the_next(bucket: Bucket, connection: Connection) -> None:
    for id in DAYS[:4]:
        publish(bucket, "datasets", id)
    publish(bucket, "models", DAYS[8], dataset=DAYS[1], metrics={})
    begin(connection, "20260201T000000-abcdabcd", DAYS[2])
    shown = prune(make_bot(), bucket, connection, dry_run=True)
    why = {fate.folder[1]: (fate.goes, fate.why) for fate in shown.fates if fate.kind == "dataset"}
    assert why == {
        DAYS[0]: (True, "no model learnt from it"),
        DAYS[1]: (False, f"model {DAYS[8]} learnt from it"),
        DAYS[2]: (False, "run 1 learns from it"),
        DAYS[3]: (False, "the newest"),
    }


def test_checkpoints_of_runs_that_nobody_goes_on_with(bucket: Bucket, connection: Connection) -> None:
    publish(bucket, "datasets", DAYS[0])
    ids = {name: f"20260201T00000{number}-{number:08}" for number, name in enumerate(
        ["done", "running", "stopped", "outdated", "older version's"]
    )}  # fmt: skip
    for id in ids.values():
        bucket.write(b"x", "bird", "runs", id, "checkpoint_00000010", "state.pt")
    publish(bucket, "models", ids["done"], dataset=DAYS[0], metrics={})
    begin(connection, ids["done"], DAYS[0], alive=False)
    begin(connection, ids["running"], "an older one")
    runs.end(connection, begin(connection, ids["stopped"], DAYS[0], alive=False), "stopped", why="by a person")
    begin(connection, ids["outdated"], "an older one", alive=False)
    done = prune(make_bot(), bucket, connection, dry_run=False)
    why = {fate.folder[1]: fate.why for fate in done.fates if fate.kind == "checkpoints"}
    assert why[ids["stopped"]] == "run 3 is stopped: the next training may go on from it"
    assert bucket.names("bird", "runs") == sorted(ids[name] for name in ("running", "stopped", "older version's"))


def test_checkpoints_that_were_kept_go_with_their_model(bucket: Bucket, connection: Connection) -> None:
    publish(bucket, "datasets", DAYS[0])
    for id in DAYS[:4]:
        bucket.write(b"x", "bird", "runs", id, "checkpoint_00000010", "state.pt")
        publish(bucket, "models", id, dataset=DAYS[0], metrics={}, parameters={"keep_checkpoints": 2})
    runs.end(connection, begin(connection, DAYS[0], DAYS[0], alive=False), "done")
    tweets.add_tweets(connection, "bird", [NewTweet("a text", model=f"{DAYS[1]}@10")])
    begin(connection, "20260201T000000-abcdabcd", DAYS[0], base="run:1@10")
    bucket.write(b"x", "bird", "runs", DAYS[8], "checkpoint_00000010", "state.pt")
    runs.end(connection, begin(connection, DAYS[8], DAYS[0], alive=False), "done")  # a prune was killed

    bot = make_bot()
    bot = bot.model_copy(update={"train": bot.train.model_copy(update={"keep_models": 1})})
    done = prune(bot, bucket, connection, dry_run=False)
    why = {fate.folder: fate.why for fate in done.fates}
    assert why["models", DAYS[0]] == "run 2 starts from it"
    assert why["models", DAYS[1]] == "its checkpoint @10 wrote 1 of the texts that are known"
    assert why["runs", DAYS[0]] == "run 2 starts from it"
    assert why["runs", DAYS[1]] == "its model stays, with 2 checkpoints (train.keep_checkpoints)"
    assert why["runs", DAYS[2]] == "its model goes"
    assert why["runs", DAYS[8]] == "its model is gone"
    assert bucket.names("bird", "runs") == bucket.names("bird", "models") == [DAYS[0], DAYS[1], DAYS[3]]


def test_a_run_that_is_taken_up_just_then_is_left(bucket: Bucket, connection: Connection) -> None:
    id = "20260201T000000-abcdabcd"
    bucket.write(b"x", "bird", "runs", id, "checkpoint_00000010", "state.pt")
    publish(bucket, "models", id, dataset=DAYS[0], metrics={})
    assert leases.take(connection, "bird/runs/abcdabcd", "there:1 0", 60)
    with pytest.raises(MynahError, match=f"has just taken run {id} of bird up"):
        prune(make_bot(), bucket, connection, dry_run=False)
    assert bucket.names("bird", "runs") == [id]


def test_a_kill_in_between_leaves_nothing_half_and_is_finished(
    bucket: Bucket, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket)

    def killed(*_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            prune(make_bot(), bucket, connection, dry_run=False)
    assert bucket.names("bird", "models") == DAYS  # the first is half, and nobody sees it
    assert [manifest["id"] for manifest in bucket.manifests("bird", "models")] == [*DAYS[:6:-1], *DAYS[5::-1]]
    done = prune(make_bot(), bucket, connection, dry_run=False)
    assert [fate.folder[1] for fate in done.fates if fate.kind == "leftover"] == [DAYS[6]]
    assert bucket.names("bird", "models") == DAYS[7:]


def test_what_is_being_written_is_no_leftover(bucket: Bucket, connection: Connection) -> None:
    now, killed, unknown = "20260201T000000-aaaaaaaa", "20260201T000000-bbbbbbbb", "29990101T000000-cccccccc"
    for id in (now, killed, unknown):
        bucket.write(b"x", "bird", "models", id, "model.safetensors")
    begin(connection, now, DAYS[0])
    begin(connection, killed, DAYS[0], alive=False)
    prune(make_bot(), bucket, connection, dry_run=False)
    assert bucket.names("bird", "models") == sorted([now, unknown])


def test_nothing_is_deleted_while_a_promotion_is_at_work(
    bucket: Bucket, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    fill(bucket)
    with (
        connect(database_url, tmp_path) as another,
        served.change_lock(another, "bird"),
        pytest.raises(MynahError, match="a promotion or rollback of bird is at work"),
    ):
        prune(make_bot(), bucket, connection, dry_run=False)
    assert len(bucket.names("bird", "models")) == 9
