"""Posters that are killed and run in pairs, while X is at its worst; `make storm` is the large form."""

from pathlib import Path

import pytest

from mynah.database.connection import Connection
from tests.bench.storm import storm


@pytest.mark.slow
def test_no_text_is_posted_twice_and_none_is_lost(connection: Connection, tmp_path: Path) -> None:
    outcome = storm(tmp_path / "home", connection, runs=30, seed=7)
    assert outcome.killed > 3
    assert outcome.posts > 3
    assert (outcome.twice, outcome.unrecorded, outcome.lost) == ([], [], []), outcome
    assert outcome.states["posting"] == 0
