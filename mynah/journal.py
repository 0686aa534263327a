"""A file of JSON lines that only grows, and that a crash at any moment leaves readable.

A line is written by one call to the end of the file and forced to the disk before `append` returns. What a
crash leaves of an unfinished last line is removed when the file is next opened.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynah.errors import MynahError


@dataclass
class Journal:
    """An open journal, locked for this process. `lines` are all its lines, oldest first."""

    path: Path
    lines: list[dict[str, Any]]
    _descriptor: int

    def append(self, line: dict[str, Any]) -> None:
        """Add one line, durably. Raises MynahError where the disk does not take all of it; nothing is added then."""
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError(0, "the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            raise _cannot("written", self.path, error) from None
        self.lines.append(line)


@contextmanager
def opened(path: Path, wait: bool = True) -> Iterator[Journal]:
    """Open a journal, made where there is none, and keep others out of it while the block runs.

    Raises MynahError where it cannot be read or written, or, unless `wait`, where another process has it open.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _cannot("written", path, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MynahError(f"{path} is in use by another process: stop that one, or use another file") from None
        yield Journal(path, _lines(path, _whole(path, descriptor)), descriptor)
    finally:
        os.close(descriptor)  # and with it the lock


def _whole(path: Path, descriptor: int) -> bytes:
    """The file's content up to its last whole line; what follows that is cut off, or ended where only \\n lacks."""
    try:
        data = path.read_bytes()
        whole, newline, tail = data.rpartition(b"\n")
        if tail and _is_object(tail):
            os.write(descriptor, b"\n")
            data += b"\n"
        elif tail:
            data = whole + newline
            os.ftruncate(descriptor, len(data))
        if tail or not data:
            os.fsync(descriptor)
        if not data:  # a new file: its name must last too
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except OSError as error:
        raise _cannot("read", path, error) from None
    return data


def _lines(path: Path, data: bytes) -> list[dict[str, Any]]:
    lines = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        if not _is_object(line):
            raise MynahError(f"{path}:{number} is not a line of JSON: mend it, or move the file away")
        lines.append(json.loads(line))
    return lines


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _cannot(what: str, path: Path, error: OSError) -> MynahError:
    return MynahError(f"{path} cannot be {what}: {error.strerror or error}; free the disk, or set MYNAH_HOME")
