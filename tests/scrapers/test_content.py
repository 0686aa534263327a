"""Which files may be read: regular ones, never the kernel's, and on a cluster only those below MYNAH_DATA."""

import os
import socket
from pathlib import Path

import pytest

from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.content import opened


def content(url: object, **env: str) -> bytes | None:
    with opened(str(url), Settings.read(env)) as found:
        return found.stream and found.stream.read()


def refused(url: object, wanted: str, **env: str) -> None:
    with pytest.raises(MynahError) as caught:
        content(url, **env)
    message = str(caught.value)
    assert wanted in message
    assert message.startswith(f"{url}: ")
    assert "\n" not in message


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for MYNAH_DATA, with a file in it; beside it lies a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    return folder


def test_on_ones_own_machine_any_file_is_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    (data / "link.txt").symlink_to(data.parent / "secret.txt")
    assert content(data / "a.txt") == content(f"file://{data}/a.txt") == content("a.txt") == b"hello"
    assert content("link.txt") == content("../secret.txt") == b"secret"
    monkeypatch.setenv("HOME", str(data))
    assert content("~/a.txt") == b"hello"


@pytest.mark.parametrize("way", ["{}", "file://{}"])
@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/proc/1/cmdline", "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/zero"]
)
def test_nothing_of_the_kernel_is_read(path: str, way: str, tmp_path: Path) -> None:
    refused(way.format(path), "is no data file: nothing of /proc, /sys and /dev is read")
    refused(way.format(f"/tmp/..{path}"), "is no data file")
    (tmp_path / "link").symlink_to(path)
    refused(way.format(tmp_path / "link"), "is no data file")
    (tmp_path / "folder").symlink_to("/")
    refused(way.format(f"{tmp_path}/folder{path}"), "is no data file")


def test_what_is_no_file_is_one_line(data: Path) -> None:
    os.mkfifo(data / "fifo")
    refused(data / "fifo", "is a pipe or a device: name a file")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data / "socket"))
        refused(data / "socket", "cannot be read")
    refused(data, "is a folder: name one file in it")
    (data / "loop").symlink_to("loop")
    refused(data / "loop", "cannot be read")
    refused(data / "a.txt/b", "no such file: check the source's url")
    refused(data / ("a" * 300), "cannot be read: File name too long")
    refused("a\0b", "cannot be read")
    refused("ftp://host/a.txt", "nothing is read from ftp://")
    for url in ("s3:///a.txt", "s3://a.txt", "s3://bucket/folder/"):
        refused(url, "names no file: write s3://bucket/path/to/file")


def test_on_a_cluster_only_files_below_its_folder_are_read(data: Path, tmp_path: Path) -> None:
    env = {"MYNAH_DATA": str(data)}
    assert content(data / "a.txt", **env) == content(f"file://{data}/a.txt", **env) == b"hello"
    assert content("a.txt", **env) == b"hello"  # a relative path begins there
    (data / "inside").symlink_to("a.txt")
    assert content("inside", **env) == b"hello"
    (data / "outside").symlink_to(tmp_path / "secret.txt")
    wanted = f"lies outside of MYNAH_DATA={data}, the only folder that sources may read here"
    for url in (tmp_path / "secret.txt", "../secret.txt", data / "outside", "file:///etc/passwd", tmp_path / "none"):
        refused(url, wanted, **env)
    refused(f"{tmp_path}/data-of-others/a.txt", wanted, **env)
    refused("none.txt", "no such file", **env)
    (tmp_path / "mounted").symlink_to(data)  # the folder itself may be reached by a link
    assert content("a.txt", MYNAH_DATA=str(tmp_path / "mounted")) == b"hello"
