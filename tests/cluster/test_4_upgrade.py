"""From each released version to this one, and back, with migrations between: nothing is lost, nothing posted twice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

import mynah
from tests.cluster import kube
from tests.cluster.conftest import UPGRADE
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, run
from tests.cluster.rollouts import name_model

RELEASES = Path(__file__).parents[1] / "releases"
VERSIONS = {"0.1.0": ["0001_tweets.sql"], "0.2.0": ["0001_tweets.sql", "0002_post_slots.sql"]}
OLDER, MODEL, REFUSED = "20260101T000000-00000001", "20260102T000000-00000002", "20260103T000000-00000003"
WRITE = f"""
import os, pathlib
from mynah import database
with database.connect(os.environ.get("DATABASE_URL", ""), pathlib.Path("/tmp")) as connection:
    texts = [f"The wise man of {{town}} sells umbrellas." for town in ("Rome", "Bonn", "Oslo", "Cork", "Lima")]
    database.add_tweets(connection, {BOT!r}, [database.NewTweet(text, state="approved") for text in texts])
    database.add_tweets(connection, {BOT!r}, [database.NewTweet("Say nothing.", state="rejected", reason="dull")])
    odd = "A back\\\\slash, a 'quote',\\ntwo lines \\u2028 or three."
    database.add_tweets(connection, {BOT!r}, [database.NewTweet(odd)])
"""
# Models that no server need load: with this file in them, it says "no model yet" and is ready. 0.2.0's `mynah promote`
# leaves its promotion in the bucket.
MODELS = f"""
import json, os, pathlib, tempfile
from mynah.bucket import Bucket
bucket = Bucket(os.environ["MYNAH_BUCKET"])
for id in {(OLDER, MODEL, REFUSED)!r}:
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "no-model-yet").write_text("no model yet")
    metrics = {{"dev_loss": 3.0, "dev_loss_untuned": 4.0, "steps": 6}}
    bucket.publish(folder, {{"metrics": metrics}}, {BOT!r}, "models", id)
if os.environ["VERSION"] == "0.2.0":
    promotion = {{"previous": {OLDER!r}, "refused": [{REFUSED!r}]}}
    bucket.write(json.dumps(promotion).encode(), {BOT!r}, "promotion.json")
"""
LIST = f"""
import json, os
from mynah.bucket import Bucket
bucket = Bucket(os.environ["MYNAH_BUCKET"])
print(json.dumps(list(bucket.manifests({BOT!r}, "models"))))
"""


@dataclass
class Released:
    """An installation that began as a released version."""

    version: str
    namespace: str
    tweets: dict[int, str] = field(default_factory=dict)
    slots: list[dict[str, object]] = field(default_factory=list)
    models: list[dict[str, object]] = field(default_factory=list)


@pytest.fixture(scope="module", params=VERSIONS)
def released(request: pytest.FixtureRequest, images: dict[str, str]) -> Iterator[Released]:
    """A released version, with rows, a post and models of its own making; one of the models serves."""
    version = str(request.param)
    old = Released(version, f"{UPGRADE}-{version.replace('.', '-')}")
    here = kube.make_namespace(old.namespace)
    chart = RELEASES / f"mynah-{version}.tgz"
    helm(here, "install", RELEASE, chart, *VALUES, *kube.image_flags(images, version), *WAITING)
    kube.wait_until_ready(here)
    kube.run_job(here, "generate", script=WRITE)
    made = kube.finish_job(here, kube.start_job(here, "scrape", script=MODELS, env={"VERSION": version}))
    assert made.succeeded, made.log
    name_model(here, MODEL)
    assert "posted tweet" in kube.run_job(here, "post")
    kube.wait_until_ready(here)
    old.tweets, old.slots, old.models = kube.tweets(here), slots(old), models(here)
    assert migrations(here) == VERSIONS[version]
    assert len(old.tweets) == 7
    assert len(old.models) == 3
    yield old
    kube.delete_namespace(here)


@pytest.fixture(scope="module")
def upgraded(released: Released, images: dict[str, str]) -> Released:
    """The same, upgraded to this chart."""
    helm(released.namespace, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)
    kube.wait_until_ready(released.namespace)
    return released


def migrations(namespace: str) -> list[str]:
    return [row["name"] for row in kube.rows(namespace, "SELECT name FROM migrations ORDER BY name")]


def slots(released: Released) -> list[dict[str, object]]:
    """Which tweet was posted for which time of the schedule; 0.1.0 has no such thing."""
    if released.version == "0.1.0":
        return []
    return kube.rows(released.namespace, "SELECT bot, due, tweet_id FROM post_slots ORDER BY due")


def models(namespace: str) -> list[dict[str, object]]:
    return list(json.loads(kube.run_job(namespace, "scrape", script=LIST).strip().splitlines()[-1]))


def check_books(namespace: str, **states: int) -> None:
    """The tweets are in these states, and X has each post that Postgres says, once."""
    assert kube.states(namespace) == states | {"candidate": 1, "rejected": 1}
    on_x = kube.posts(namespace)
    assert sorted(on_x) == kube.posted(namespace)
    assert len(set(on_x)) == len(on_x) == states["posted"]


def test_an_upgrade_migrates_and_keeps_every_row(upgraded: Released) -> None:
    here = upgraded.namespace
    names = sorted(path.name for path in (kube.ROOT / "mynah" / "database" / "sql").glob("*.sql"))
    assert len(names) > 2
    assert migrations(here) == names
    assert kube.tweets(here) == upgraded.tweets
    assert slots(upgraded) == upgraded.slots
    made = kube.rows(here, "SELECT bot, slot AS due, tweet_id FROM posts WHERE slot IS NOT NULL ORDER BY slot")
    assert made == upgraded.slots
    check_books(here, approved=4, posted=1)


def test_an_upgrade_keeps_every_model_and_the_promotion(upgraded: Released) -> None:
    here = upgraded.namespace
    assert models(here) == upgraded.models
    assert kube.serving_model(here) == MODEL
    # The first promotion takes over what serves.
    said = kube.run_job(here, "promote", "promote", BOT, MODEL, "--on", "kubernetes")
    assert f"{MODEL} is {BOT}'s current model already" in said
    assert kube.current(here) == MODEL
    found = kube.rows(here, "SELECT model, why FROM served ORDER BY id")
    refused = [row["model"] for row in kube.rows(here, "SELECT model FROM refused")]
    if upgraded.version == "0.1.0":  # which had no promotion
        assert found == [{"model": MODEL, "why": "served before 0.3.0"}]
        assert refused == []
    else:
        assert found == [{"model": model, "why": "served before 0.3.0"} for model in (OLDER, MODEL)]
        assert refused == [REFUSED]
        assert "was refused before" in kube.run_job(here, "promote")


def test_the_new_poster_posts_the_old_rows_and_no_time_twice(upgraded: Released) -> None:
    here = upgraded.namespace
    if upgraded.version != "0.1.0":  # it wrote no time of the schedule down
        assert "is made already" in kube.run_job(here, "post")  # --scheduled
    assert "posted tweet" in kube.run_job(here, "post", "post", BOT)
    check_books(here, approved=3, posted=2)


# 0.1.0 cannot read a table that was widened; 0.2.0 passes over what it does not know.
@pytest.mark.parametrize("released", ["0.2.0"], indirect=True)
def test_after_a_rollback_the_old_poster_works_on_the_new_tables(upgraded: Released) -> None:
    here = upgraded.namespace
    new = migrations(here)
    helm(here, "rollback", RELEASE, "1", *WAITING)
    kube.wait_until_ready(here)
    said = kube.run_job(here, "post", script="import mynah; print(mynah.__version__)")
    assert said.strip() == upgraded.version
    assert "is made already" in kube.run_job(here, "post")  # --scheduled, as its chart says
    assert "posted tweet" in kube.run_job(here, "post", "post", BOT)
    assert migrations(here) == new
    assert kube.tweets(here) == upgraded.tweets
    assert kube.serving_model(here) == MODEL
    check_books(here, approved=2, posted=3)
    in_step = kube.rows(here, "SELECT post_id FROM posts WHERE state = 'posted'")
    assert sorted(row["post_id"] for row in in_step) == kube.posted(here)


@pytest.mark.parametrize("released", ["0.2.0"], indirect=True)
def test_back_again_the_new_poster_posts_what_the_old_one_left(upgraded: Released, images: dict[str, str]) -> None:
    here = upgraded.namespace
    helm(here, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)
    for left in (1, 0):
        assert "posted tweet" in kube.run_job(here, "post", "post", BOT)
        check_books(here, **({"approved": left} if left else {}), posted=5 - left)
    assert "nothing to post" in kube.run_job(here, "post", "post", BOT)


def test_the_releases_in_this_folder_are_those_before_this_chart() -> None:
    now = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert now["version"] == now["appVersion"] == mynah.__version__ == "0.3.0"
    for version in VERSIONS:
        then = yaml.safe_load(run("helm", "show", "chart", RELEASES / f"mynah-{version}.tgz").stdout)
        assert then["version"] == version
        assert (RELEASES / f"mynah-{version}-py3-none-any.whl").exists()
