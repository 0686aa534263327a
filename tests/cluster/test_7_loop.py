"""Generate, approve, post: exactly one post for each time of the schedule."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster import kube
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, wait


@pytest.fixture(scope="module")
def written(release: str, serving: str) -> str:
    """What the first generation said."""
    return kube.run_job(release, "generate")


@pytest.fixture(scope="module")
def scheduled(release: str, images: dict[str, str]) -> datetime:
    """The one minute of the year at which the post's CronJob fires: soon."""
    due = (datetime.now(UTC) + timedelta(minutes=2)).replace(second=0, microsecond=0)
    schedule = f"{due:%-M %-H %-d %-m} *"
    flags = (*VALUES, *kube.image_flags(images), f"--set=bots.{BOT}.post.schedule={schedule}")
    helm(release, "upgrade", RELEASE, CHART, *flags, *WAITING)
    assert datetime.now(UTC) < due, "the upgrade took too long"
    return due


def test_the_served_model_writes_candidates(release: str, serving: str, written: str) -> None:
    assert f"model {serving} wrote 16 texts" in written
    states = kube.states(release)
    assert states["candidate"] >= 4
    assert set(states) <= {"candidate", "rejected"}
    assert kube.rows(release, "SELECT DISTINCT model FROM tweets") == [[serving]]


def test_a_person_approves(release: str, written: str) -> None:
    candidates = json.loads(kube.run_job(release, "generate", "curate", BOT, "list", "--json"))["tweets"]
    ids = [str(tweet["id"]) for tweet in candidates]
    said = kube.run_job(release, "generate", "curate", BOT, "approve", *ids)
    assert said.strip() == f"approved: {', '.join(ids)}"
    assert kube.states(release)["approved"] == len(ids)
    assert "candidate" not in kube.states(release)


def test_one_time_of_the_schedule_has_one_post_though_its_job_runs_three_times(
    release: str, scheduled: datetime, figures: dict[str, str]
) -> None:
    before, approved = kube.posts(release), kube.states(release)["approved"]
    wait(f"{scheduled:%H:%M}", lambda: datetime.now(UTC) >= scheduled, within=120, every=0.1)
    by_hand = [kube.start_job(release, "post") for _ in range(2)]

    def fired() -> list[str]:
        jobs = kube.find(release, "jobs", _component="post")
        stamp = "batch.kubernetes.io/cronjob-scheduled-timestamp"
        return [job["metadata"]["name"] for job in jobs if stamp in job["metadata"].get("annotations", {})]

    (by_clock,) = wait("the CronJob to fire by itself", fired, within=60)
    ended = [kube.finish_job(release, name) for name in (by_clock, *by_hand)]
    assert all(job.succeeded for job in ended), [job.log for job in ended]
    assert sum("posted tweet" in job.log for job in ended) == 1, [job.log for job in ended]
    assert datetime.now(UTC) < scheduled + timedelta(minutes=5)
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
