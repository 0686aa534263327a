"""Generate, approve, post: exactly one post for each time of the schedule. And listening to an X."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, kubectl, wait
from tests.x import post


@pytest.fixture(scope="module")
def written(release: str, serving: str) -> str:
    """What the last generation said; at least four texts are worth a look."""
    return kube.generate_until(release, lambda: len(kube.candidates(release)) >= 4)


@pytest.fixture(scope="module")
def scheduled(release: str, images: dict[str, str]) -> datetime:
    """The one minute of the year at which the post's CronJob fires: soon, and after the upgrade that says so."""
    for minutes in (2, 4, 8, 16):
        due = (datetime.now(UTC) + timedelta(minutes=minutes)).replace(second=0, microsecond=0)
        schedule = f"{due:%-M %-H %-d %-m} *"
        flags = (*VALUES, *kube.image_flags(images), f"--set=bots.{BOT}.post.schedule={schedule}")
        helm(release, "upgrade", RELEASE, CHART, *flags)
        if datetime.now(UTC) < due:
            return due
    raise kube.Failed("helm upgrade takes longer than a quarter of an hour")


def test_the_served_model_writes_candidates(release: str, serving: str, written: str) -> None:
    assert f"model {serving} wrote 16 texts" in written
    assert set(kube.states(release)) <= {"candidate", "rejected"}
    assert kube.rows(release, "SELECT DISTINCT model FROM tweets") == [{"model": serving}]


def test_a_person_approves(release: str, written: str) -> None:
    ids = kube.candidates(release)
    said = kube.run_job(release, "generate", "curate", BOT, "approve", *ids)
    assert said.strip() == f"approved: {', '.join(ids)}"
    assert kube.states(release)["approved"] == len(ids)
    assert kube.candidates(release) == []


def test_one_time_of_the_schedule_has_one_post_though_its_job_runs_three_times(
    release: str, scheduled: datetime, figures: dict[str, str]
) -> None:
    before, approved = kube.posts(release), kube.states(release)["approved"]
    wait(f"{scheduled:%H:%M}", lambda: datetime.now(UTC) >= scheduled, within=1200, every=0.1)
    by_hand = [kube.start_job(release, "post") for _ in range(2)]

    def fired() -> list[str]:
        stamp = "batch.kubernetes.io/cronjob-scheduled-timestamp"
        jobs = kube.find(release, "jobs", _component="post")
        stamps = {job["metadata"]["name"]: job["metadata"].get("annotations", {}).get(stamp) for job in jobs}
        return [name for name, at in stamps.items() if at and datetime.fromisoformat(at) == scheduled]

    (by_clock,) = wait("the CronJob to fire by itself", fired)
    ended = [kube.finish_job(release, name) for name in (by_clock, *by_hand)]
    assert all(job.succeeded for job in ended), [job.log for job in ended]
    assert sum("posted tweet" in job.log for job in ended) == 1, [job.log for job in ended]
    (new,) = set(kube.posts(release)) - set(before)
    assert kube.posted(release) == sorted([*before, new])
    assert kube.states(release)["approved"] == approved - 1

    pod = next(job.pod for job in ended if job.name == by_clock)
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    seconds = kube.seconds_between(pod["metadata"]["creationTimestamp"], state["finishedAt"])
    inside = kube.seconds_between(state["startedAt"], state["finishedAt"])
    figures["a poster's pod (of three at once)"] = f"{seconds:.0f} s, {inside:.0f} s of it in the container"


def test_a_poster_alone(release: str, scheduled: datetime, figures: dict[str, str]) -> None:
    """Another run for the same time posts nothing; one without a time posts."""
    before = kube.posts(release)
    assert "is made already" in kube.run_job(release, "post")
    assert kube.posts(release) == before
    begin = time.monotonic()
    assert "posted tweet" in kube.run_job(release, "post", "post", BOT)
    figures["a poster's job, from its creation to its end as seen"] = f"{time.monotonic() - begin:.1f} s"
    assert len(kube.posts(release)) == len(before) + 1
    assert kube.posted(release) == sorted(kube.posts(release))


def test_a_bot_that_reads_accounts_on_x(
    release: str, scheduled: datetime, images: dict[str, str], tmp_path: Path, figures: dict[str, str]
) -> None:
    """Another bot: its CronJob scrapes the simulator, through the policies, and what it cost stands in Postgres."""
    people = [{"id": str(id), "username": name} for id, name in enumerate(("anna", "ben"), 1)]
    (tmp_path / "users.jsonl").write_text("\n".join(map(json.dumps, people)))
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps(post(id, n)) for id in (1, 2) for n in range(120)))
    kubectl(release, "create", "configmap", "people", *(f"--from-file={path}" for path in sorted(tmp_path.iterdir())))
    birds = {"sources": {"birds": {"kind": "x", "accounts": ["anna", "ben", "nobody"]}}, "serve": {"memory": "256Mi"}}
    flags = ("--set-json", f"bots.birds={json.dumps(birds)}", "--set", "xSimulator.world=people", *WAITING)
    helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *flags)
    try:
        begin = time.monotonic()
        said = kube.run_job(release, "scrape", bot="birds")
        figures["a scrape of 240 posts on X, from its job's creation to its end"] = f"{time.monotonic() - begin:.1f} s"
        assert "birds: 240 documents, 240 new, 1 problem" in said
        assert "Could not find user with usernames: [nobody]" in said
        (spent,) = kube.rows(release, "SELECT sum(cost)::float AS dollars FROM spend WHERE bot = 'birds'")
        assert spent == {"dollars": pytest.approx(2 * 0.01 + 240 * 0.005)}
        assert "birds: 0 documents, 0 new" in kube.run_job(release, "scrape", bot="birds")
    finally:
        helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)
