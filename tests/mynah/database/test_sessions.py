"""The sessions table: what is kept of an account's sign-in, by one process at a time."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from mynah.database import sessions
from mynah.database.connection import Connection, connect
from mynah.database.sessions import Kept

SERVER, HANDLE = "https://bsky.social", "a.test"


def test_what_is_kept(connection: Connection) -> None:
    assert sessions.read(connection, SERVER, HANDLE) == Kept()
    until = datetime(2026, 11, 27, tzinfo=UTC)
    for kept in (Kept(b"sealed"), Kept(None, "refused", b"token", until), Kept(b"again")):
        with sessions.alone(connection, SERVER, HANDLE):
            sessions.keep(connection, SERVER, HANDLE, kept)
        assert sessions.read(connection, SERVER, HANDLE) == kept
    assert sessions.read(connection, SERVER, "b.test") == Kept()
    assert sessions.read(connection, "https://other.example", HANDLE) == Kept()


def test_one_at_a_time_and_a_killed_one_leaves_all_as_it_was(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    with sessions.alone(connection, SERVER, HANDLE):
        sessions.keep(connection, SERVER, HANDLE, Kept(b"first"))
    with connect(database_url, tmp_path) as other:
        other.execute("SET lock_timeout = '100ms'")
        with sessions.alone(connection, SERVER, HANDLE) as kept:
            assert kept == Kept(b"first")
            with pytest.raises(psycopg.errors.LockNotAvailable), sessions.alone(other, SERVER, HANDLE):
                pass
            with sessions.alone(other, SERVER, "b.test"):  # another account does not wait
                pass
            assert sessions.read(other, SERVER, HANDLE) == Kept(b"first")  # nor does one who only reads
        with suppress(KeyboardInterrupt), sessions.alone(other, SERVER, HANDLE):
            sessions.keep(other, SERVER, HANDLE, Kept(b"second"))
            raise KeyboardInterrupt
        assert sessions.read(connection, SERVER, HANDLE) == Kept(b"first")
