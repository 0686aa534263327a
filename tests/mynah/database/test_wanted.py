"""A model server is wanted while somebody works, and no longer."""

import re
import time
from pathlib import Path

import psycopg
import pytest

from mynah.database import wanted as rows
from mynah.database.connection import Connection, connect
from mynah.database.wanted import wanted

CHART = Path(__file__).parents[3] / "charts" / "mynah" / "templates" / "serving" / "scaled-objects.yaml"


@pytest.fixture
def keda(connection: Connection) -> "Keda":
    return Keda(connection)


class Keda:
    """What KEDA asks, in the chart's words."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        (self._query,) = re.findall(r"^ +query: (.+)$", CHART.read_text("utf-8"), re.MULTILINE)

    def count(self, bot: str) -> int:
        query = self._query.replace("{{ $name }}", bot).encode()
        return int((self._connection.execute(query).fetchone() or (0,))[0])


def test_a_server_is_wanted_for_as_long_as_somebody_works(database_url: str, tmp_path: Path, keda: Keda) -> None:
    def own() -> Connection:
        return connect(database_url, tmp_path, "ann")

    assert keda.count("demo") == 0
    with wanted(own, "demo", "generate"):
        assert (keda.count("demo"), keda.count("other")) == (1, 0)
        with wanted(own, "demo", "promote"):
            assert keda.count("demo") == 2
        assert keda.count("demo") == 1
    assert keda.count("demo") == 0


def test_who_wants_it_and_what_for(database_url: str, tmp_path: Path, connection: Connection) -> None:
    with wanted(lambda: connect(database_url, tmp_path, "ann"), "demo", "generate"):
        assert connection.execute("SELECT bot, what, who FROM wanted").fetchall() == [("demo", "generate", "ann")]


def test_long_work_renews_it(
    database_url: str, tmp_path: Path, connection: Connection, keda: Keda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "RENEWED_EVERY", 0.05)
    with wanted(lambda: connect(database_url, tmp_path), "demo", "generate"):
        connection.execute("UPDATE wanted SET until = clock_timestamp() - interval '1 second'")
        give_up = time.monotonic() + 10
        while not keda.count("demo"):
            assert time.monotonic() < give_up
            time.sleep(0.02)


def test_a_killed_process_keeps_no_server_awake(
    database_url: str, tmp_path: Path, connection: Connection, keda: Keda
) -> None:
    connection.execute("INSERT INTO wanted (id, bot, what, until) VALUES (gen_random_uuid(), 'demo', 'x', now())")
    assert keda.count("demo") == 0
    with wanted(lambda: connect(database_url, tmp_path), "demo", "generate"):
        pass
    assert connection.execute("SELECT count(*) FROM wanted").fetchone() == (0,)


def test_a_renewal_that_fails_is_tried_again(
    database_url: str, tmp_path: Path, keda: Keda, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rows, "RENEWED_EVERY", 0.05)
    urls = iter([database_url, "postgresql://x@127.0.0.1:1/x", *[database_url] * 999])
    with wanted(lambda: connect(next(urls), tmp_path), "demo", "generate"):
        give_up = time.monotonic() + 20
        with psycopg.connect(database_url, autocommit=True) as own:
            own.execute("UPDATE wanted SET until = clock_timestamp() - interval '1 second'")
        while not keda.count("demo"):
            assert time.monotonic() < give_up
            time.sleep(0.02)
    assert "Postgres does not answer" in capfd.readouterr().err
    assert keda.count("demo") == 0
