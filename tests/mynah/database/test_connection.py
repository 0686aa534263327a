"""Connecting: one's own server is migrated at once, another is waited for."""

from pathlib import Path

import pytest

from mynah.database import connection as module
from mynah.database.connection import Connection, connect, reach
from mynah.database.migrations import files, migrate, missing
from mynah.errors import MynahError


def test_a_dead_database_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MynahError, match="Postgres does not answer: .*check DATABASE_URL") as caught:
        connect("postgresql://nobody@127.0.0.1:1/x", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_server_is_not_migrated_by_who_connects(
    old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WAIT", 0.05)
    with pytest.raises(MynahError) as caught:
        connect(old_url, tmp_path)
    lacking = [file.name.removesuffix(".sql") for file in files() if file.name > "0003"]
    assert lacking[0] == "0003_history"
    lacks = f"the database lacks {', '.join(lacking)}: "
    assert str(caught.value) == f"{lacks}run `mynah migrate`, or wait for the chart's prepare job"
    assert capsys.readouterr().err == f"{lacks}waiting up to 0 s for `mynah migrate`\n"
    with reach(old_url, tmp_path) as connection:
        assert missing(connection) == [f"{name}.sql" for name in lacking]


def test_who_starts_before_the_migration_gets_through(
    old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def meanwhile(seconds: float) -> None:
        looks.append(seconds)
        with reach(old_url, tmp_path) as connection:
            migrate(connection)

    monkeypatch.setattr(module.time, "sleep", meanwhile)
    connect(old_url, tmp_path).close()
    assert looks == [module.POLL]


def test_a_newer_database_will_do(connection: Connection, database_url: str, tmp_path: Path) -> None:
    connection.execute("INSERT INTO migrations (name) VALUES ('9999_later.sql')")
    connection.execute("ALTER TABLE tweets ADD later text")
    connect(database_url, tmp_path).close()


def test_the_database_knows_who_is_at_work(database_url: str, tmp_path: Path) -> None:
    for user, known in (("ana 'the' mynah", "ana 'the' mynah"), ("", "postgres")):
        with connect(database_url, tmp_path, user) as connection:
            assert connection.execute("SELECT mynah_user()").fetchone() == (known,)
