import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah import journal
from mynah.errors import MynahError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made/on/the/way.jsonl"


def test_lines_last(path: Path) -> None:
    with journal.opened(path) as first:
        first.append({"text": "one\nline ✓"})
        first.append({"n": 2})
        assert first.lines == [{"text": "one\nline ✓"}, {"n": 2}]
    with journal.opened(path) as again:
        assert again.lines == first.lines
    assert len(path.read_bytes().splitlines()) == 2


@given(cut=st.integers(0, 200))
def test_cut_anywhere_it_keeps_the_whole_lines(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal"
    whole = [{"n": number, "text": "tę\\xt" * number} for number in range(5)]
    with journal.opened(path) as writer:
        for line in whole:
            writer.append(line)
    data = path.read_bytes()
    os.truncate(path, min(cut, len(data)))
    kept = data[:cut].count(b"\n") + (data[cut : cut + 1] == b"\n")  # a line that lacks only its end is whole
    with journal.opened(path) as reader:
        assert reader.lines == whole[:kept]
        reader.append({"n": "next"})
    with journal.opened(path) as reader:
        assert reader.lines == [*whole[:kept], {"n": "next"}]


def test_zeros_that_a_power_cut_leaves_are_cut_off(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"n": 1}\n' + b"\0" * 300)
    with journal.opened(path) as reader:
        assert reader.lines == [{"n": 1}]
    assert path.read_bytes() == b'{"n": 1}\n'


def test_a_broken_line_in_the_middle_is_named(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"n": 1}\n[2]\n{"n": 3}\n')
    with pytest.raises(MynahError, match=r"way\.jsonl:2 is not"), journal.opened(path):
        pass


def test_a_line_ends_at_its_newline_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes('{"a":\r1}\n{"text": "one\u2028two\u0085"}\r\n'.encode())
    with journal.opened(path) as reader:
        assert reader.lines == [{"a": 1}, {"text": "one\u2028two\u0085"}]


def test_a_full_disk_adds_nothing(path: Path) -> None:
    """A limit of the file's size stands for the disk's."""
    with journal.opened(path) as writer:
        writer.append({"n": 1})
    size = path.stat().st_size
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, limits[1]))
    try:
        with journal.opened(path) as writer, pytest.raises(MynahError, match="cannot be written"):
            writer.append({"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.stat().st_size == size
    assert writer.lines == [{"n": 1}]


def test_one_process_at_a_time(path: Path) -> None:
    program = (
        "import pathlib, sys; from mynah import journal\nwith journal.opened(pathlib.Path(sys.argv[1]), wait=False): 0"
    )
    command = [sys.executable, "-c", program, str(path)]
    with journal.opened(path):
        busy = subprocess.run(command, capture_output=True, text=True)
    assert busy.stderr.splitlines()[-1].endswith("is in use by another process: stop that one, or use another file")
    assert subprocess.run(command).returncode == 0


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(MynahError, match="cannot be written: Is a directory"), journal.opened(tmp_path):
        pass
