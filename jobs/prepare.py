"""What must be there before the first run: the tables in Postgres, and a folder for a bot that has no model yet.

Where the values name a bot's model, Helm has just changed it: that is noted here.
"""

import sys
import time
from collections.abc import Sequence

from jobs.adopt import adopt
from mynah.bucket import Bucket
from mynah.database import migrations, served
from mynah.database.connection import Connection, reach
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings

WAIT = 120.0  # seconds for Postgres and the store, which may be starting just now
POLL = 2.0  # seconds


def migrate(settings: Settings) -> str:
    """Make the tables that are missing; says which. Raises UsageError without a server of one's own."""
    if settings.database_url is None:
        raise UsageError("neither DATABASE_URL nor PG* is set, and the embedded Postgres migrates by itself")
    with reach(settings.database_url, settings.home, settings.user) as connection:
        done = migrations.migrate(connection)
    return f"migrated: {', '.join(done)}" if done else "nothing to migrate"


def prepare(settings: Settings, bots: Sequence[str]) -> str:
    """Migrate, and write for each bot the folder models/none that its InferenceService begins with.

    A bot written BOT=MODEL has its model from the values: it is noted as the current one. Asks for two
    minutes while Postgres or the store does not answer. Raises MynahError after that.
    """
    deadline = time.monotonic() + WAIT
    while True:
        try:
            said = migrate(settings)
            for bot, _, model in (bot.partition("=") for bot in bots):
                settings.bucket.write(b"no model yet\n", bot, "models", "none", "no-model-yet")
                if model:
                    with settings.connect() as connection:
                        _note(settings.bucket, connection, bot, model)
            return said
        except UsageError:
            raise
        except MynahError as error:
            if time.monotonic() > deadline:
                raise
            print(error, file=sys.stderr, flush=True)
            time.sleep(POLL)


def _note(bucket: Bucket, connection: Connection, bot: str, model: str) -> None:
    """Make `model` the current one in Postgres, whatever was to become it."""
    current = served.current(connection, bot)
    if current and current.model == model:
        return
    why = "serve.model in the values"
    if pending := served.pending(connection, bot):
        served.withdraw(connection, pending.id, f"{why} names another: {model}")
    adopt(bucket, connection, bot, model, why)
