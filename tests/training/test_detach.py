"""A training in the background goes on without its terminal, and one that fails at once is said."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mynah.bucket import Bucket
from mynah.database import runs
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from training.detach import detach

TRAIN = """
import os, sys, time
from mynah.settings import Settings
from training.lease import taken
from training.run_record import recorded
settings = Settings.read(os.environ)
with taken(settings, "bird/runs/0123abcd") as lease:
    with recorded(settings, lease, "bird", "20261127T120000-0123abcd", "train", "1", "tiny") as record:
        print("at work", os.getsid(0), file=sys.stderr, flush=True)
        while True:
            time.sleep(0.1)
            record.check()
"""


@pytest.fixture
def settings(
    tmp_path: Path,
    database_url: str,
    settings_of: Callable[[Bucket, Path, str], Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    settings = settings_of(Bucket(f"file://{tmp_path}/bucket"), tmp_path / "home", database_url)
    for name, value in settings.environment.items():
        monkeypatch.setenv(name, value)
    return settings


def test_it_is_at_work_in_a_session_of_its_own(settings: Settings, connection: Connection) -> None:
    begun = detach("bird", settings, [sys.executable, "-c", TRAIN])
    try:
        assert (begun.number, begun.id) == (1, "20261127T120000-0123abcd")
        assert runs.find(connection, "bird").state == "running"
        assert os.getsid(begun.process) == begun.process != os.getsid(0)
        assert begun.summary().splitlines()[1:] == ["  mynah logs bird 1 --follow", "  mynah stop bird 1"]
    finally:
        os.kill(begun.process, signal.SIGKILL)
        os.waitpid(begun.process, 0)
    while "at work" not in Path(begun.log).read_text():
        time.sleep(0.05)


def test_one_that_fails_at_once_is_said(settings: Settings) -> None:
    for number in (1, 2):
        command = [sys.executable, "-c", f"print('mynah: no dataset yet {number}'); raise SystemExit(1)"]
        with pytest.raises(MynahError, match=rf"^no dataset yet {number}; see .*/logs/bird-train\.log$"):
            detach("bird", settings, command)


def test_nothing_to_train_is_no_failure(settings: Settings) -> None:
    begun = detach("bird", settings, [sys.executable, "-c", "print('trained already')"])
    assert begun.number is None
    assert begun.summary() == f"nothing to train; see {begun.log}"
