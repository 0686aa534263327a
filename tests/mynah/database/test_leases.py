"""Leases: one holder at a time, by the database's clock."""

import threading
from pathlib import Path

from mynah.database import leases
from mynah.database.connection import Connection, connect


def run_out(connection: Connection) -> None:
    connection.execute("UPDATE leases SET expires_at = clock_timestamp()")


def test_of_two_takers_one_wins(connection: Connection) -> None:
    assert leases.take(connection, "run", "a", 60)
    assert not leases.take(connection, "run", "b", 60)
    assert leases.take(connection, "another run", "b", 60)
    lease = leases.held(connection, "run")
    assert lease
    assert lease.holder == "a"
    assert (lease.expires_at - lease.taken_at).total_seconds() > 59


def test_of_many_takers_at_once_one_wins(database_url: str, tmp_path: Path) -> None:
    won: list[str] = []
    ready = threading.Barrier(8)

    def taker(name: str) -> None:
        with connect(database_url, tmp_path) as own:
            ready.wait()
            if leases.take(own, "run", name, 60):
                won.append(name)

    threads = [threading.Thread(target=taker, args=[str(number)]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_one_that_ran_out_is_taken_over_and_then_lost(connection: Connection) -> None:
    assert leases.take(connection, "run", "a", 60)
    run_out(connection)
    assert leases.held(connection, "run") is None
    assert leases.take(connection, "run", "b", 60)
    assert not leases.renew(connection, "run", "a", 60)
    leases.release(connection, "run", "a")  # not a's to give back
    assert leases.renew(connection, "run", "b", 60)


def test_one_that_ran_out_and_nobody_took_is_kept(connection: Connection) -> None:
    assert leases.take(connection, "run", "a", 60)
    run_out(connection)
    assert leases.renew(connection, "run", "a", 60)
    assert not leases.take(connection, "run", "b", 60)


def test_a_holder_that_comes_back_takes_it_again(connection: Connection) -> None:
    assert leases.take(connection, "run", "a", 60)
    assert leases.take(connection, "run", "a", 60)
    leases.release(connection, "run", "a")
    assert not leases.renew(connection, "run", "a", 60)
    assert leases.take(connection, "run", "b", 60)
