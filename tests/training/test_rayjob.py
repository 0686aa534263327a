"""A training on a cluster: both verbs, with their flags, and an exit status that KubeRay understands."""

import stat
from pathlib import Path

import pytest

from training.rayjob import run


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a `mynah` was called with that exits with what the file of the verb's name says, else 0."""
    program = tmp_path / "mynah"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\nexit $(cat {tmp_path}/"$1" 2>&- || echo 0)\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "log"


def test_flags_reach_the_verbs_that_take_them(log: Path) -> None:
    assert run("demo", ["--set=bots.demo.train.max_steps=6", "--again"]) == 0
    assert log.read_text().splitlines() == [
        "dataset demo --set=bots.demo.train.max_steps=6",
        "train demo --set=bots.demo.train.max_steps=6 --again",
    ]


@pytest.mark.parametrize(
    ("verb", "exits", "status", "calls"),
    [
        ("dataset", 1, 1, ["dataset demo"]),
        ("train", 3, 3, ["dataset demo", "train demo"]),
        ("train", 130, 0, ["dataset demo", "train demo"]),  # somebody stopped it: not to be begun anew
    ],
)
def test_what_fails_is_the_exit_status(log: Path, verb: str, exits: int, status: int, calls: list[str]) -> None:
    (log.parent / verb).write_text(str(exits))
    assert run("demo") == status
    assert log.read_text().splitlines() == calls
