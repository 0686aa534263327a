"""The log of a training on a cluster is in the bucket, however it ends."""

import stat
from pathlib import Path

import pytest

from mynah.bucket import Bucket
from training import rayjob
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


def test_a_copy_of_the_log_that_fails_is_tried_again_and_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bucket = Bucket(str(tmp_path / "bucket"))
    in_the_way = Path(bucket.path("demo", "logs"))
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    program = tmp_path / "mynah"
    program.write_text(f'#!/bin/sh\necho "$1 1"\necho "$1 2"\n[ "$1" = dataset ] || rm -f {in_the_way}\necho "$1 3"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(rayjob, "KEEP_EVERY", 0.0)
    assert run("demo", bucket, "head-1") == 0
    lines = [f"{verb} {number}" for verb in ("dataset", "train") for number in (1, 2, 3)]
    assert bucket.read("demo", "logs", "head-1.txt").decode().splitlines() == lines
    out, err = capfd.readouterr()
    assert out.splitlines() == lines
    assert "the log is not in the bucket yet" in err.splitlines()[0]


def test_a_log_that_never_gets_into_the_bucket_leaves_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").touch()  # where the bot's folder would be
    program = tmp_path / "mynah"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(rayjob, "PAUSE", 0.0)
    assert run("demo", Bucket(str(tmp_path)), "head-1") == 3
