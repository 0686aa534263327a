"""Which model is current of every bot, asked of Postgres; its last answer counts while it is away."""

import logging
import re
import time
from collections.abc import Collection

import psycopg

from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from serving.model.errors import RequestError

logger = logging.getLogger("serving")

ASK = 3.0  # seconds between two questions


class Current:
    """The current models, by bot."""

    def __init__(self, settings: Settings, bots: Collection[str] | None) -> None:
        """Of these `bots`, or of all that have one."""
        self._settings = settings
        self._bots = bots
        self._models: dict[str, str] | None = None
        self._connection: Connection | None = None
        self._asked = 0.0
        self._why = "it was not asked yet"

    def models(self) -> dict[str, str]:
        """Bot → the id of its current model, as last told."""
        return self._models or {}

    def check(self) -> None:
        """Raises RequestError 503 until Postgres has answered once."""
        if self._models is None:
            message = f"which models are current is not known yet: {self._why}"
            raise RequestError(503, message, code="warming_up", retry_after=1)

    def ask(self) -> None:
        """Ask Postgres, where that is due; it blocks. Raises MynahError where it does not answer; a warning says so."""
        if time.monotonic() < self._asked + ASK:
            return
        self._asked = time.monotonic()
        try:
            if self._connection is None:
                self._connection = self._settings.connect()
            models = served.current_models(self._connection)
        except (MynahError, psycopg.Error) as error:
            self._connection = None
            why = str(error).splitlines()[0]
            if re.sub(r"\d+", "", why) != re.sub(r"\d+", "", self._why):
                logger.warning("which models are current cannot be asked: %s; the last answer counts", why)
            self._why = why
            raise MynahError(why) from None
        if self._why:
            logger.info("%d bots have a current model", len(models))
        self._why = ""
        self._models = {bot: id for bot, id in models.items() if self._bots is None or bot in self._bots}
