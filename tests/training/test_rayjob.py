"""The log of a training on a cluster is in the bucket, however it ends."""

import stat
from pathlib import Path

import pytest

from mynah.bucket import Bucket
from training.rayjob import run


@pytest.mark.parametrize(("fails", "status", "log"), [("none", 0, "dataset demo\ntrain demo\n"), ("train", 3, None)])
def test_the_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, status: int, log: str) -> None:
    program = tmp_path / "mynah"
    program.write_text(f'#!/bin/sh\necho "$1 $2"\n[ "$1" != {fails} ] || {{ echo no memory >&2; exit 3; }}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bucket = Bucket(str(tmp_path / "bucket"))
    assert run("demo", bucket, "head-1") == status
    kept = bucket.read("demo", "logs", "head-1.txt").decode()
    assert kept == (log or "dataset demo\ntrain demo\nno memory\n")


def test_flags_reach_the_verbs_that_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mynah"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bucket = Bucket(str(tmp_path / "bucket"))
    run("demo", bucket, "head-1", ["--set=bots.demo.train.max_steps=6", "--again"])
    kept = bucket.read("demo", "logs", "head-1.txt").decode().splitlines()
    assert kept == [
        "dataset demo --set=bots.demo.train.max_steps=6",
        "train demo --set=bots.demo.train.max_steps=6 --again",
    ]
