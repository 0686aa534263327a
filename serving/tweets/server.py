"""`mynah play`: the tweet API on a port, until told to end."""

import asyncio
import contextlib
import logging
import logging.config
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg_pool import ConnectionPool
from starlette.middleware.gzip import GZipMiddleware

from mynah.bot import Bot
from mynah.database.connection import Connection
from mynah.settings import Settings
from serving.logs import LOGGING
from serving.request_id import Identified
from serving.transport import DRAIN_SECONDS, Server, listen
from serving.tweets.allowance import Allowance, Counted
from serving.tweets.app import application
from serving.tweets.desk import Desk

logger = logging.getLogger("serving")

CONNECTIONS = 8  # to Postgres, at the most
LENT_WITHIN = 5.0  # seconds
_LOOK = 0.1  # seconds between two looks whether all is written
GZIP_LEVEL = 5  # 9 saves 1% more of a page


def serve(
    settings: Settings,
    bots: Mapping[str, Bot],
    host: str,
    port: int,
    allowance: Allowance,
    proxies: Sequence[str],
    quiet: bool = False,
) -> None:
    """Answer prompts of `bots` on host:port until SIGTERM or SIGINT, each address as often as `allowance` lets it.

    Behind one of `proxies`, the address is what it forwards for. Raises MynahError where that cannot be begun.
    """
    listener = listen(host, port)
    logging.config.dictConfig(LOGGING)
    if quiet:
        logger.setLevel(logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt), connections(settings) as pool:
        desk = Desk(settings, bots, pool.connection, allowance.prompt)
        app = application(desk, pool.connection, settings.signing_key)
        app.add_middleware(GZipMiddleware, compresslevel=GZIP_LEVEL)  # it flushes each line of a stream
        app.add_middleware(Counted, allowance=allowance)
        app.add_middleware(Identified)
        server = Server(app, proxies)

        async def finish() -> None:
            """What is being written is finished, though nobody may be connected: who asked looks for it elsewhere."""
            desk.ending = True
            give_up = time.monotonic() + DRAIN_SECONDS
            while server.patient and desk.busy and not server.force_exit and time.monotonic() < give_up:
                await asyncio.sleep(_LOOK)

        server.draining.append(finish)
        logger.info("listening at http://%s:%d", *listener.getsockname()[:2])
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            desk.stop()
    logger.info("ended")


@contextmanager
def connections(settings: Settings) -> Iterator["ConnectionPool[Connection]"]:
    """Connections to a database that has all tables. Raises MynahError where there is none."""
    with ExitStack() as kept:
        first, url = settings.connect(), settings.database_url
        if url is None:
            url = first.info.dsn
            kept.callback(first.close)  # the embedded server stays as long as this connection
        else:
            first.close()

        def configure(connection: Connection) -> None:
            # A visit that Postgres forgets as its machine dies is no harm, and an answer is written again: nobody waits
            # for the disk.
            connection.execute("SET synchronous_commit = off")

        with ConnectionPool(
            url,
            connection_class=psycopg.Connection,
            kwargs={"autocommit": True, "connect_timeout": 10},
            configure=configure,
            check=ConnectionPool.check_connection,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=LENT_WITHIN,
            # Or it tries ever more rarely, and knows only minutes later that Postgres is back.
            reconnect_timeout=LENT_WITHIN,
        ) as pool:
            yield pool
