"""From the previous release to this one and back, with a migration between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster import kube
from tests.cluster.conftest import UPGRADE
from tests.cluster.kube import BOT, CHART, RELEASE, VALUES, WAITING, helm, run

RELEASED = Path(__file__).with_name("releases") / "mynah-0.1.0.tgz"
WRITE = f"""
import os, pathlib
from mynah import database
with database.connect(os.environ.get("DATABASE_URL", ""), pathlib.Path("/tmp")) as connection:
    texts = [f"The wise man of {{town}} sells umbrellas." for town in ("Rome", "Bonn", "Oslo", "Cork", "Lima")]
    database.add_tweets(connection, {BOT!r}, [database.NewTweet(text, state="approved") for text in texts])
    database.add_tweets(connection, {BOT!r}, [database.NewTweet("Say nothing.", state="rejected", reason="dull")])
"""


@pytest.fixture(scope="module")
def released(images: dict[str, str]) -> Iterator[str]:
    """The previous release, with rows of its own making, one of them posted; the namespace."""
    kube.make_namespace(UPGRADE)
    helm(UPGRADE, "install", RELEASE, RELEASED, *VALUES, *kube.image_flags(images, "released-"), *WAITING)
    kube.wait_until_ready(UPGRADE)
    kube.run_job(UPGRADE, "generate", script=WRITE)
    assert "posted tweet" in kube.run_job(UPGRADE, "post")
    assert migrations(UPGRADE) == ["0001_tweets.sql"]
    yield UPGRADE
    kube.delete_namespace(UPGRADE)


@pytest.fixture(scope="module")
def upgraded(released: str, images: dict[str, str]) -> dict[int, str]:
    """The same, upgraded to this chart; the tweets as they were before."""
    before = kube.tweets(released)
    helm(released, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)
    kube.wait_until_ready(released)
    return before


def migrations(namespace: str) -> list[str]:
    return [name for (name,) in kube.rows(namespace, "SELECT name FROM migrations ORDER BY name")]


def test_an_upgrade_migrates_and_keeps_every_row(released: str, upgraded: dict[int, str]) -> None:
    names = sorted(path.name for path in (kube.ROOT / "mynah" / "sql").glob("*.sql"))
    assert len(names) > 1
    assert migrations(released) == names
    assert len(upgraded) == 6
    assert kube.tweets(released) == upgraded
    assert kube.states(released) == {"approved": 4, "posted": 1, "rejected": 1}
    assert kube.posts(released) == kube.posted(released)


def test_the_new_poster_posts_the_old_rows(released: str, upgraded: dict[int, str]) -> None:
    assert "posted tweet" in kube.run_job(released, "post")
    assert kube.states(released) == {"approved": 3, "posted": 2, "rejected": 1}
    assert kube.posts(released) == kube.posted(released)


def test_after_a_rollback_the_old_poster_works_on_the_new_tables(released: str, upgraded: dict[int, str]) -> None:
    new = migrations(released)
    helm(released, "rollback", RELEASE, "1", *WAITING)
    kube.wait_until_ready(released)
    said = kube.run_job(released, "post", script="import mynah; print(mynah.__version__)")
    assert said.strip() == "0.1.0"
    assert "posted tweet" in kube.run_job(released, "post")
    assert migrations(released) == new
    assert kube.tweets(released) == upgraded
    assert kube.states(released) == {"approved": 2, "posted": 3, "rejected": 1}
    assert kube.posts(released) == kube.posted(released)


def test_the_release_in_this_folder_is_the_one_before_this_chart() -> None:
    now = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    then = yaml.safe_load(run("helm", "show", "chart", RELEASED).stdout)
    assert (then["version"], now["version"]) == ("0.1.0", "0.2.0")
