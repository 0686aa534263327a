"""A model that recites is not promoted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import judging
from jobs.place import Pool
from jobs.promote import promote
from mynah.bot import Bot, Promote
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.recitation import Copied
from mynah.sampled import samples_of
from tests.scripted import Answer, choices, scripted

OLD, NEW = "20260101T000000-old", "20260102T000000-new"
LEARNT = [f"The {bird} catches the worm." for bird in ("early bird", "late crow", "old owl", "finch")]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    bucket = Bucket(f"file://{tmp_path}/bucket")
    (tmp_path / "model").mkdir()
    for id in (OLD, NEW):
        bucket.publish(
            tmp_path / "model", {"metrics": {"dev_loss": 3.0, "dev_loss_untuned": 4.0}}, "demo", "models", id
        )
    return bucket


@pytest.fixture
def judged(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setattr(judging, "REQUESTS", 2)
    return bot.model_copy(update={"promote": Promote(samples=40, max_recited=0.05, max_slowdown=1000)})


def copied_from(model: str) -> Copied:
    assert model in (OLD, NEW)
    return Copied.of(LEARNT)


def says(recited: int) -> Callable[[dict[str, Any]], Answer]:
    """Answers a request of n samples: the first `recited` of them are training texts."""
    numbers = iter(range(10**6))

    def answer(body: dict[str, Any]) -> Answer:
        texts = [(next(numbers), place) for place in range(body.get("n", 1))]
        return choices(*(LEARNT[place % 4] if place < recited else f"My own text {n}." for n, place in texts))

    return answer


def test_a_model_that_recites_is_refused_and_force_passes_over_it(
    judged: Bot, bucket: Bucket, connection: Connection
) -> None:
    with scripted() as server:
        server.script = [says(2)]
        place = Pool(connection, "demo", server.address)
        with pytest.raises(
            MynahError,
            match=f"{NEW} is not promoted, no model goes on serving demo: it recites: 4 of 40 texts .*at most 5% may "
            r"\(promote.max_recited\).* such as “The early bird catches the worm.” \(--force passes over that\)",
        ):
            promote(judged, bucket, connection, place, NEW, copied_from=copied_from)
        assert "recites" in served.refused(connection, "demo")[NEW]
        assert served.current(connection, "demo") is None
        found = samples_of(bucket, "demo", NEW)
        assert found
        assert (found.recited, found.whole, found.texts, found.distinct) == (4, 4, 40, 38)
        assert promote(judged, bucket, connection, place, NEW, force=True, copied_from=copied_from).changed


def test_one_that_does_not_is_promoted_and_shown_beside_the_current_one(
    judged: Bot, bucket: Bucket, connection: Connection
) -> None:
    with scripted() as server:
        server.script = [says(1)]  # 2 of 40 are 5 %
        place = Pool(connection, "demo", server.address)
        promote(judged, bucket, connection, place, OLD, copied_from=copied_from)
        asked = [body for body in server.asked if body.get("n")]
        assert [(body["n"], body["seed"], body["model"]) for body in asked] == [
            (20, 0, f"demo@{OLD}"),
            (20, 20, f"demo@{OLD}"),
        ]
        compared = {"dev_nats_per_character": 1.0, "current_dev_nats_per_character": 1.0}
        bucket.write(json.dumps(compared).encode(), "demo", "evaluations", NEW, f"{OLD}.json")
        checks = promote(judged, bucket, connection, place, NEW, copied_from=copied_from).checks
        assert checks["recites"].startswith("2 of 40 texts copy at least 12 words in a row")
        assert checks["recites"].endswith(f"{OLD}: 2 of 40")
        assert checks["samples"].startswith("40 of 40 finished, 39 differ")


def test_an_endpoint_that_breaks_off_is_no_verdict(judged: Bot, bucket: Bucket, connection: Connection) -> None:
    with scripted() as server:
        server.script = [lambda body: (500, {}) if body.get("n") else choices("a text")]
        place = Pool(connection, "demo", server.address)
        with pytest.raises(MynahError, match="answers 500.* it is not refused: try again"):
            promote(judged, bucket, connection, place, NEW, copied_from=copied_from)
        assert served.refused(connection, "demo") == {}
        unasked = judged.model_copy(update={"promote": Promote(samples=0, max_slowdown=1000)})
        done = promote(unasked, bucket, connection, place, NEW, copied_from=copied_from)
        assert done.checks["recites"] == "not judged: promote.samples is 0"


def test_what_is_asked_is_spread_over_the_prompts(judged: Bot, bucket: Bucket, connection: Connection) -> None:
    prompts = judged.generate.model_copy(update={"prompts": ["A", "B", "C"]})
    with scripted() as server:
        server.script = [says(0)]
        place = Pool(connection, "demo", server.address)
        bot = judged.model_copy(update={"generate": prompts})
        promote(bot, bucket, connection, place, NEW, copied_from=copied_from)
        asked = [(body["prompt"], body["n"], body["seed"]) for body in server.asked if body.get("n")]
        assert asked == [(["A"], 14, 0), (["B"], 13, 14), (["C"], 13, 27)]
