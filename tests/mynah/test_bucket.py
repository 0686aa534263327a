"""The bucket, on disk and on a real S3 server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mynah.bucket import Bucket, fingerprint, new_id, time_of
from mynah.errors import MynahError, UsageError


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 server with a bucket `mynah`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket="mynah")
    yield endpoint
    server.stop()


@pytest.fixture(params=["file", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    if request.param == "file":
        return Bucket(f"file://{tmp_path / 'bucket'}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Bucket(f"s3://mynah/{tmp_path.name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "made/inside").mkdir(parents=True)
    (tmp_path / "made/weights").write_bytes(os.urandom(1 << 20))
    (tmp_path / "made/inside/notes").write_text("ноты")
    (tmp_path / "made/texts.jsonl.zst").write_bytes(b"packed")
    return tmp_path / "made"


def test_objects_come_back(bucket: Bucket) -> None:
    bucket.write(b"one", "bot", "raw", "a", "1")
    bucket.write(b"two", "bot", "raw", "a", "1")
    bucket.write(b"", "bot", "raw", "a", "2")
    bucket.write(b"packed", "bot", "raw", "b", "1.jsonl.zst")
    assert bucket.read("bot", "raw", "a", "1") == b"two"
    assert bucket.read("bot", "raw", "b", "1.jsonl.zst") == b"packed"
    assert bucket.names("bot", "raw", "a") == ["1", "2"]
    assert bucket.names("bot", "raw", "none") == []
    with pytest.raises(FileNotFoundError):
        bucket.read("bot", "raw", "a", "3")


def test_a_folder_is_published_and_fetched_whole(bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    written = bucket.publish(folder, {"parameters": {"x": 1}}, "bot", "models", "m1")
    assert bucket.manifest("bot", "models", "m1") == written
    assert written["files"]["weights"]["bytes"] == 1 << 20
    local = bucket.fetch(tmp_path / "copy", "bot", "models", "m1")
    assert (local / "weights").read_bytes() == (folder / "weights").read_bytes()
    assert (local / "inside/notes").read_text() == "ноты"
    assert (local / "texts.jsonl.zst").read_bytes() == b"packed"
    assert (local / "model.json").is_file()


def test_a_folder_is_deleted_with_all_in_it_and_nothing_else(bucket: Bucket) -> None:
    for path in ("demo/runs/1/a", "demo/runs/1/deep/er/b", "demo/runs/12/c"):
        bucket.write(b"x", *path.split("/"))
    bucket.delete("demo", "runs", "1")
    assert bucket.names("demo", "runs") == ["12"]
    with pytest.raises(FileNotFoundError):
        bucket.read("demo", "runs", "1", "deep", "er", "b")
    assert bucket.read("demo", "runs", "12", "c") == b"x"
    bucket.delete("demo", "runs", "1")  # there is nothing left to delete


def test_a_folder_without_its_manifest_does_not_exist(bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    bucket.write(b"half", "bot", "models", "m1", "weights")
    bucket.publish(folder, {}, "bot", "models", "m0")
    assert bucket.manifest("bot", "models", "m1") is None
    assert [manifest["id"] for manifest in bucket.manifests("bot", "models")] == ["m0"]
    with pytest.raises(MynahError, match=r"has no model\.json"):
        bucket.fetch(tmp_path / "copy", "bot", "models", "m1")


def test_a_damaged_file_is_noticed(s3: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL": s3, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = Bucket(f"s3://mynah/{tmp_path.name}")
    bucket.publish(folder, {}, "bot", "models", "m1")
    bucket.write(os.urandom(1 << 20), "bot", "models", "m1", "weights")
    with pytest.raises(MynahError, match=r"weights is damaged"):
        bucket.fetch(tmp_path / "copy", "bot", "models", "m1")
    some = bucket.fetch(tmp_path / "some", "bot", "models", "m1", {"inside/notes"})
    assert {path.name for path in some.rglob("*") if path.is_file()} == {"notes", "model.json"}


def test_a_missing_bucket_is_one_line(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL": s3, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(MynahError, match="bucket s3://nowhere does not exist: create it"):
        Bucket("s3://nowhere").write(b"x", "a")


def test_an_unknown_address_is_refused() -> None:
    with pytest.raises(UsageError, match="write file:///path, s3://"):
        Bucket("ftp://x/y").names("a")


def test_a_write_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from mynah.bucket import Bucket; b = Bucket(sys.argv[1])\n"
        "print('go', flush=True)\n"
        "while True: b.write(b'x' * 50_000_000, 'bot', 'raw', 's', 'file')"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    bucket = Bucket(str(tmp_path))
    for name in bucket.names("bot", "raw", "s"):  # the half-written file, if any, is hidden
        assert len(bucket.read("bot", "raw", "s", name)) == 50_000_000


def test_ids_sort_by_time_and_end_in_what_they_are_made_of() -> None:
    first, second = new_id({"a": 1, "b": 2}), new_id({"b": 2, "a": 1})
    assert first.endswith(fingerprint({"a": 1, "b": 2}))
    assert first[-8:] == second[-8:]
    assert new_id({"a": 2})[-8:] != first[-8:]


def test_an_id_tells_when_it_was_made() -> None:
    assert time_of("20261121T093000-1f2e3d4c") == 1795253400
    assert abs((time_of(new_id({})) or 0) - time.time()) < 60
    for other in ("", "1", "../x", "20261121T093000-1f2e3d4", "20261132T093000-1f2e3d4c", "20261121T093000-1F2E3D4C"):
        assert time_of(other) is None
