"""The models of a server, by the names that clients ask for."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mynah.model_name import VERSION
from serving.model.engine import Engine, Options
from serving.model.errors import RequestError
from serving.model.folder import ServedModel, read_model

logger = logging.getLogger("serving")


@dataclass(frozen=True)
class TextModel:
    """A model and the engine that writes with it."""

    served: ServedModel
    engine: Engine


@dataclass(frozen=True)
class Known:
    """A model that may be asked for, loaded or not."""

    name: str
    id: str
    created: int
    """Unix time."""
    state: str
    """The repository extension's word: READY, LOADING or UNAVAILABLE, which here means that it is loaded when asked."""
    reason: str = ""


class Models(Protocol):
    """What a server has. A name is a bot's, and then means its current model, or NAME@ID. Errors are RequestError."""

    def attach(self, end: Callable[[], None]) -> None:
        """Begin, in the running event loop. `end` is called where the server is of no more use."""

    def stop(self) -> None:
        """End every engine; the event loop is closed by then."""

    @property
    def failure(self) -> str | None:
        """Why the server is of no more use, once it is."""

    def check(self) -> None:
        """Raises 503 until requests can be answered."""

    def listed(self) -> list[Known]:
        """The current model of every name."""

    def find(self, name: str) -> Known:
        """Which model a name means. Raises 404."""

    def using(self, name: str) -> AbstractAsyncContextManager[TextModel]:
        """A model that answers, and stays while the block runs and its texts are written. Raises 404, 429 or 503."""

    async def load(self, name: str) -> None:
        """Have a model loaded before somebody asks."""

    async def unload(self, name: str) -> None:
        """Let go of a model that nobody asks just now."""


class OneModel:
    """Models of a server that has one, from the beginning to the end."""

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        """Raises MynahError where the folder is not whole."""
        self._begin = time.monotonic()
        self._served = read_model(name, folder)
        self._engine = Engine(name, self._served.openvino, self._served.context, options)

    def attach(self, end: Callable[[], None]) -> None:
        self._engine.attach(self._say_ready, end)

    def stop(self) -> None:
        self._engine.stop()

    @property
    def failure(self) -> str | None:
        if reason := self._engine.reason:
            remedy = f"start the server again, or run mynah train {self._served.name} for a new model"
            return f"{self._served.openvino}: the engine has stopped: {reason}; {remedy}"
        return None

    def check(self) -> None:
        self._engine.check()

    def listed(self) -> list[Known]:
        state, reason = "READY", ""
        try:
            self._engine.check()
        except RequestError as error:
            state, reason = "LOADING", error.message
        return [Known(self._served.name, self._served.id, self._served.created, state, reason)]

    def find(self, name: str) -> Known:
        bot, _, id = name.partition(VERSION)
        (known,) = self.listed()
        if bot != known.name:
            raise not_found(bot, [known.name])
        if id and id != known.id:
            raise no_version(bot, id, known.id)
        return known

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[TextModel]:
        self.find(name)
        yield TextModel(self._served, self._engine)

    async def load(self, name: str) -> None:
        self.find(name)

    async def unload(self, name: str) -> None:
        raise RequestError(501, f"{self.find(name).name} stays: end the server to unload it")

    def _say_ready(self) -> None:
        seconds = time.monotonic() - self._begin
        logger.info("ready after %.2f s: %s (%s)", seconds, self._served.name, self._served.id)


def not_found(name: str, known: list[str]) -> RequestError:
    """404: there is no such model."""
    here = ", ".join(known[:20]) + (" …" if len(known) > 20 else "") if known else "none"
    return RequestError(404, f"no model {name} here; this server has {here}", "model", "model_not_found")


def no_version(name: str, id: str, current: str) -> RequestError:
    """404: there is no such version of a model that is there."""
    message = f"no version {id} of {name} here; this server has {current}"
    return RequestError(404, message, "model_version", "model_not_found")
