"""Posters that are killed and run in pairs, while a service is at its worst; `make storm` is the large form."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mynah.database.connection import Connection
from tests.bench.services import opened_service
from tests.bench.storm import Outcome, storm

DOLLARS = 0.01  # spent on reading, at most, per post


@pytest.fixture
def storm_at(connection: Connection, tmp_path: Path) -> Callable[..., Outcome]:
    def storm_at(name: str, number: int, settle: float) -> Outcome:
        with opened_service(name, tmp_path / "service", seed=7) as service:
            return storm(tmp_path / "home", connection, service, number, seed=7, settle=settle)

    return storm_at


def is_calm(outcome: Outcome, number: int) -> None:
    faults = (outcome.twice, outcome.unrecorded, outcome.lost, outcome.in_doubt)
    assert faults == ([], [], [], 0), outcome
    assert outcome.posts + outcome.refused == number
    assert outcome.dollars <= DOLLARS * outcome.posts
    assert outcome.doubts > 0  # or it was no storm


def test_a_squall(storm_at: Callable[..., Outcome]) -> None:
    is_calm(storm_at("mastodon", 10, settle=5), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x", "mastodon", "bluesky"])
def test_no_text_is_posted_twice_none_is_lost_and_none_stays_in_doubt(
    storm_at: Callable[..., Outcome], request: pytest.FixtureRequest, name: str
) -> None:
    if name == "bluesky":
        request.getfixturevalue("shared")
    outcome = storm_at(name, 60, settle=6)
    is_calm(outcome, 60)
    assert outcome.killed > 5
