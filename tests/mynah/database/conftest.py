"""The released 0.2.0: a database as it makes one, its own code for Postgres, and its own command."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from psycopg import sql

WHEEL = Path(__file__).parents[2] / "releases" / "mynah-0.2.0-py3-none-any.whl"


@pytest.fixture(scope="session")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 0.2.0's packages."""
    folder = tmp_path_factory.mktemp("0.2.0")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    return folder


def run_old(code: Path, *arguments: str, folder: Path, url: str) -> "subprocess.CompletedProcess[str]":
    """Run python with 0.2.0 before whatever else is installed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MYNAH_", "X_", "PG"))}
    env |= {"PYTHONPATH": str(code), "DATABASE_URL": url, "MYNAH_HOME": str(folder / "home")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def old_command(old_code: Path, tmp_path: Path, database_url: str) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """old_command(VERB, …) runs 0.2.0's `mynah VERB demo …` on this test's database; it posts to an outbox file."""
    (tmp_path / "bots").mkdir()
    file = 'bots: {demo: {sources: {none: {url: none.txt}}, post: {schedule: "0 0 1 1 *"}}}\n'
    (tmp_path / "bots/demo.yaml").write_text(file, encoding="utf-8")

    def run(verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_old(old_code, "-m", "mynah", verb, "demo", *arguments, folder=tmp_path, url=database_url)

    return run


@pytest.fixture(scope="session")
def old(old_code: Path) -> ModuleType:
    """0.2.0's mynah.database, under another name."""
    module = ModuleType("mynah_0_2_0_database")
    sys.modules[module.__name__] = module
    file = old_code / "mynah/database.py"
    exec(compile(file.read_text(encoding="utf-8"), file, "exec"), module.__dict__)
    return module


@pytest.fixture(scope="session")
def old_template(old_code: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that 0.2.0 has made."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_0_2_0")
    url = psycopg.conninfo.make_conninfo(postgres, dbname="template_0_2_0")
    script = "import os, pathlib, mynah.database as d; d.connect(os.environ['DATABASE_URL'], pathlib.Path('.')).close()"
    made = run_old(old_code, "-c", script, folder=tmp_path_factory.mktemp("old"), url=url)
    assert made.returncode == 0, made.stderr
    return "template_0_2_0"


@pytest.fixture
def old_url(postgres: str, old_template: str) -> Iterator[str]:
    """Address of a fresh database as 0.2.0 makes it, not migrated further."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE old TEMPLATE {}").format(sql.Identifier(old_template)))
        yield psycopg.conninfo.make_conninfo(postgres, dbname="old")
        connection.execute("DROP DATABASE old WITH (FORCE)")
