"""Which model `mynah serve` serves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from serving import verbs

NOWHERE = "host=127.0.0.1 port=1 dbname=none"  # nothing listens there


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    return Settings.read({**os.environ, "DATABASE_URL": database_url, "MYNAH_HOME": str(home), "MYNAH_BUCKET": ""})


def publish(settings: Settings, folder: Path, *ids: str) -> None:
    folder.mkdir(exist_ok=True)
    for id in ids:
        settings.bucket.publish(folder, {"id": id}, "demo", "models", id)


def make_current(connection: Connection, id: str) -> None:
    served.carry_out(connection, served.ask(connection, "demo", id, "the test").id)


def test_it_serves_the_current_model_and_not_the_newest(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    publish(settings, tmp_path / "model", "1-old", "2-good", "3-newest")
    make_current(connection, "1-old")
    make_current(connection, "2-good")
    assert verbs.model_folder(settings, "demo", None).name == "2-good"
    assert verbs.model_folder(settings, "demo", "3-newest").name == "3-newest"


def test_postgres_is_let_go(settings: Settings, connection: Connection, tmp_path: Path) -> None:
    publish(settings, tmp_path / "model", "1")
    make_current(connection, "1")
    verbs.model_folder(settings, "demo", None)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while connection.execute(others).fetchone() != (0,):  # its process ends a moment after the connection
        pass


def test_what_to_do_where_no_model_is_current(settings: Settings, connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(MynahError, match="^bot demo has no model in file://.*: run `mynah train demo`$"):
        verbs.model_folder(settings, "demo", None)
    publish(settings, tmp_path / "model", "1")
    with pytest.raises(MynahError, match="^none of bot demo's models is current: run `mynah promote demo`$"):
        verbs.model_folder(settings, "demo", None)


def test_a_model_that_is_named_needs_no_postgres(settings: Settings, tmp_path: Path) -> None:
    publish(settings, tmp_path / "model", "1")
    named = Settings.read({**settings.environment, "DATABASE_URL": NOWHERE})
    assert verbs.model_folder(named, "demo", "1").name == "1"
    with pytest.raises(MynahError, match="Postgres does not answer"):
        verbs.model_folder(named, "demo", None)
    command = [sys.executable, "-m", "mynah", "serve", "demo", "--model-dir", str(tmp_path / "model")]
    env = {**os.environ, "DATABASE_URL": NOWHERE, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, capture_output=True, text=True, env=env)
    assert ended.returncode == 1
    assert "model.json" in ended.stderr  # of the folder, which is empty; not of Postgres


def test_one_model_at_a_time(tmp_path: Path) -> None:
    flags = ["demo", "--model", "1", "--model-dir", str(tmp_path)]
    ended = CliRunner().invoke(verbs.serve, flags)
    assert "--model and --model-dir name two models" in str(ended.exception)


@pytest.mark.parametrize("flag", ["--threads", "--cache-gb"])
def test_an_engine_needs_something_to_work_with(flag: str) -> None:
    ended = CliRunner().invoke(verbs.serve, ["demo", flag, "0"])
    assert ended.exit_code == 2
    assert flag in ended.output
