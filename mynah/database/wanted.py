"""Whose model server is wanted: rows that KEDA counts, to start a server that sleeps (serve.replicas 0).

A row has an end, and is renewed while somebody works, so that a killed process keeps no server awake. Time is the
database's.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from mynah.database.connection import Connection
from mynah.errors import MynahError

LASTS = 120.0  # seconds that a row counts
RENEWED_EVERY = 30.0  # seconds


@contextmanager
def wanted(connect: Callable[[], Connection], bot: str, what: str) -> Iterator[None]:
    """Want the bot's model server while the block runs. `what` says what for.

    No connection is held meanwhile. Raises MynahError where the first row cannot be written; a renewal that fails is
    tried again.
    """
    id, done = uuid4(), threading.Event()
    want(connect, id, bot, what)
    thread = threading.Thread(target=_renew, args=[connect, id, bot, what, done], daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        try:
            with connect() as connection:
                connection.execute("DELETE FROM wanted WHERE id = %s OR until < clock_timestamp()", [id])
        except MynahError as error:  # the row ends by itself
            print(error, file=sys.stderr)


def want(connect: Callable[[], Connection], id: UUID, bot: str, what: str) -> None:
    """Want it for LASTS seconds from now."""
    with connect() as connection:
        connection.execute(
            """
            INSERT INTO wanted (id, bot, what, until)
            VALUES (%(id)s, %(bot)s, %(what)s, clock_timestamp() + make_interval(secs => %(lasts)s))
            ON CONFLICT (id) DO UPDATE SET until = EXCLUDED.until
            """,
            {"id": id, "bot": bot, "what": what, "lasts": LASTS},
        )


def _renew(connect: Callable[[], Connection], id: UUID, bot: str, what: str, done: threading.Event) -> None:
    while not done.wait(RENEWED_EVERY):
        try:
            want(connect, id, bot, what)
        except MynahError as error:
            print(error, file=sys.stderr)
