"""Where a bot's model is served: this machine, a server of many bots, or an InferenceService.

The last one is in jobs.kubernetes.rollout.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from mynah.database import served
from mynah.database.connection import Connection
from mynah.local_server import serving
from mynah.model_name import versioned


class Place(Protocol):
    """Where a bot's model is served. Every method may raise MynahError, and JudgedBad where the model is at fault."""

    @property
    def address(self) -> str | None:
        """Where the model that serves now can be asked; None where that is not known."""

    @property
    def keys(self) -> Sequence[str]:
        """What its model servers want to see."""

    def serving(self) -> str | None:
        """The id of the model that is to serve; None where there is none yet."""

    def beside(self, model: str) -> AbstractContextManager[tuple[str, str]]:
        """Run a model beside the one that serves; yields its address, and its name there."""

    def change(self, model: str) -> None:
        """Serve a model in place of the one that serves, and wait until it does. Called again, it goes on."""

    def put_back(self, model: str | None) -> None:
        """Serve the model that served before a change that failed, and wait for nothing."""

    def clean_up(self) -> None:
        """End what runs beside the model that serves: a killed process left it."""


@dataclass(frozen=True)
class _ByPostgres:
    """A place where nothing is to be changed: its servers go by the current model in Postgres."""

    connection: Connection
    bot: str

    def serving(self) -> str | None:
        current = served.current(self.connection, self.bot)
        return current.model if current else None

    def change(self, model: str) -> None: ...

    def put_back(self, model: str | None) -> None: ...

    def clean_up(self) -> None: ...


@dataclass(frozen=True)
class ThisMachine(_ByPostgres):
    """`mynah serve` on this machine, whenever it is started."""

    keys: Sequence[str] = ()

    @property
    def address(self) -> str | None:
        return None

    @contextmanager
    def beside(self, model: str) -> Iterator[tuple[str, str]]:
        with serving(self.bot, model) as address:
            yield address, self.bot


@dataclass(frozen=True)
class Pool(_ByPostgres):
    """A server of many bots (serve.mode pool), or one that is there for as long as it is asked (none)."""

    address: str
    keys: Sequence[str] = ()

    @contextmanager
    def beside(self, model: str) -> Iterator[tuple[str, str]]:
        yield self.address, versioned(self.bot, model)
