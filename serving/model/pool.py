"""Many bots in one server: a bot's current model is loaded when it is first asked, and the least used one goes for it.

What is current is asked of Postgres (serving.model.current). A model that becomes current while the one before it is
loaded is loaded beside that one, which answers until the new one can. Every model has an engine of its own, a process,
so that its memory is given back whole.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mynah.bucket import time_of
from mynah.errors import MynahError
from mynah.model_name import VERSION
from serving.model import metrics
from serving.model.current import Current
from serving.model.engine import Engine, Options
from serving.model.errors import RequestError
from serving.model.folder import OPENVINO, read_model
from serving.model.models import Known, TextModel, no_version, not_found

logger = logging.getLogger("serving")

WAIT = 60.0  # seconds that a request waits for its model to be loaded
WAITING = 64  # requests at most that wait for one model
AGAIN = 30.0  # seconds until a model that could not be loaded is tried again
LOOK = 1.0  # seconds between two looks at the memory, and for models that have become current
PROCESS, TIMES = 150 << 20, 2.5  # what a model is thought to take, before it is measured: bytes, and its weights' size
Key = tuple[str, str]
"""A bot, and a model's id."""


@dataclass
class _Slot:
    """A model that is loaded, or just being."""

    task: "asyncio.Task[TextModel]"
    begin: float
    need: int = 0
    """Bytes that it is thought to take, while it is being loaded."""
    uses: int = 0
    """Requests that have it, or wait for it."""
    used: float = field(default_factory=time.monotonic)
    was_current: bool = False
    """It was asked for by its bot's name, and may answer to that until a newer one is loaded."""

    @property
    def model(self) -> TextModel | None:
        """The model, once it answers."""
        done = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return self.task.result() if done else None

    @property
    def idle(self) -> bool:
        model = self.model
        return bool(model and not self.uses and not model.engine.busy)

    def bytes(self) -> int:
        """What it takes now, or is thought to."""
        model = self.model
        return model.engine.memory() if model else self.need


class Pool:
    """Models of a server that has many."""

    def __init__(
        self, current: Current, fetch: Callable[[str, str], Path | None], memory: int, options: Options
    ) -> None:
        """`fetch` gives the folder of a bot's model by its id, None where there is none; `memory` is in bytes."""
        self._current = current
        self._fetch = fetch
        self._memory = memory
        self._options = options
        self._slots: dict[Key, _Slot] = {}
        self._failed: dict[Key, tuple[float, RequestError]] = {}
        self._loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    # What a server asks of its models (serving.model.models.Models).

    def attach(self, end: Callable[[], None]) -> None:
        self._in_background(self._watch())

    def stop(self) -> None:
        for slot in self._slots.values():
            if model := slot.model:
                model.engine.stop()

    @property
    def failure(self) -> str | None:
        return None  # a model that fails is loaded again, and Postgres comes back

    def check(self) -> None:
        self._current.check()

    def listed(self) -> list[Known]:
        return [self._known(bot, id) for bot, id in sorted(self._current.models().items())]

    def find(self, name: str) -> Known:
        bot, _, id = name.partition(VERSION)
        models = self._current.models()
        if bot not in models:
            self._current.check()
            raise not_found(bot, sorted(models))
        if id and time_of(id) is None:
            raise no_version(bot, id, models[bot])
        return self._known(bot, id or models[bot])

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[TextModel]:
        known = self.find(name)
        key = known.name, known.id
        slot = self._slot(key) if VERSION in name else self._current_slot(key)
        if not slot.model and slot.uses >= WAITING:
            raise RequestError(429, f"{slot.uses} requests wait for {known.name}", code="busy", retry_after=1)
        slot.uses += 1
        try:
            model = await self._loaded(slot, key)
            model.engine.check()
            yield model
        finally:
            slot.uses -= 1
            slot.used = time.monotonic()

    async def load(self, name: str) -> None:
        async with self.using(name):
            pass

    async def unload(self, name: str) -> None:
        known = self.find(name)
        key = known.name, known.id
        if key not in self._slots:
            return
        if not self._slots[key].idle:
            raise RequestError(409, f"{known.name} is being asked: try again when it is not", code="busy")
        await self._drop(key)

    # How models come and go.

    def _known(self, bot: str, id: str) -> Known:
        state, reason = "UNAVAILABLE", "it is loaded when it is asked"
        if slot := self._slots.get((bot, id)):
            state, reason = ("READY", "") if slot.model else ("LOADING", self._says_loading(slot, bot))
        elif failed := self._failed.get((bot, id)):
            reason = failed[1].message
        return Known(bot, id, time_of(id) or 0, state, reason)

    def _current_slot(self, key: Key) -> _Slot:
        """Of a current model; until it answers, and where it cannot, of the one that was current before it."""
        loaded = [slot for (bot, _), slot in self._slots.items() if bot == key[0] and slot.was_current and slot.model]
        try:
            slot = self._slot(key)
        except RequestError:
            if loaded:
                return loaded[0]
            raise
        slot.was_current = True
        return loaded[0] if loaded and not slot.model else slot

    def _slot(self, key: Key) -> _Slot:
        """The model's slot; where there is none, the model is loaded from now on."""
        if slot := self._slots.get(key):
            return slot
        if failed := self._failed.get(key):
            until, error = failed
            if time.monotonic() < until:
                raise error
            del self._failed[key]
        slot = _Slot(asyncio.create_task(self._load(key)), time.monotonic())
        self._slots[key] = slot
        slot.task.add_done_callback(lambda task: self._note(key, task))
        return slot

    def _note(self, key: Key, task: "asyncio.Task[TextModel]") -> None:
        """Forget a model that could not be loaded, after a while."""
        if task.cancelled() or task.exception() is None:
            return
        self._slots.pop(key, None)
        error = task.exception()
        message = f"{key[0]} ({key[1]}) cannot be loaded: {error}"
        known = error if isinstance(error, RequestError) else RequestError(503, message, code="load_failed")
        if known.status == 404:
            return
        logger.warning("%s", message)
        if known.retry_after is None:
            known.retry_after = round(AGAIN)
        self._failed[key] = time.monotonic() + known.retry_after, known

    async def _loaded(self, slot: _Slot, key: Key) -> TextModel:
        """Wait for a model, but not for ever."""
        try:
            return await asyncio.wait_for(asyncio.shield(slot.task), WAIT)
        except TimeoutError:
            raise RequestError(503, self._says_loading(slot, key[0]), code="warming_up", retry_after=5) from None
        except RequestError:
            raise
        except Exception:
            if failed := self._failed.get(key):
                raise failed[1] from None
            raise

    @staticmethod
    def _says_loading(slot: _Slot, bot: str) -> str:
        return f"{bot} is being loaded, {time.monotonic() - slot.begin:.0f} s so far: try again in a moment"

    async def _load(self, key: Key) -> TextModel:
        """Fetch a model, make room for it and load it; one at a time, since each takes all cores."""
        bot, id = key
        begin = time.monotonic()
        folder = await asyncio.to_thread(self._fetch, bot, id)
        if folder is None:
            raise no_version(bot, id, self._current.models().get(bot, "none"))
        async with self._loading:
            served = read_model(bot, folder)
            weights = sum((served.openvino / name).stat().st_size for name in OPENVINO)
            slot = self._slots[key]
            slot.need = int(PROCESS + TIMES * weights)
            await self._make_room(slot)
            engine = await asyncio.to_thread(Engine, bot, served.openvino, served.context, self._options)
            settled = asyncio.Event()

            def end() -> None:
                settled.set()
                self._in_background(self._drop(key))

            engine.attach(settled.set, end)
            try:
                await settled.wait()
            except asyncio.CancelledError:
                engine.stop()
                raise
            if engine.reason:
                raise MynahError(engine.reason)
        logger.info("loaded after %.2f s: %s (%s)", time.monotonic() - begin, bot, id)
        metrics.LOADS.observe(time.monotonic() - begin)
        metrics.LOADED.inc()
        return TextModel(served, engine)

    async def _make_room(self, new: _Slot) -> None:
        """Let go of models that nobody asks, the least recently used first, until `new` fits. Raises RequestError."""
        if new.need > self._memory:
            message = f"it takes some {new.need / 1e9:.1f} GB, and the server may have {self._memory / 1e9:.1f}"
            raise MynahError(f"{message}: start the server with more --memory-gb")
        give_up = time.monotonic() + WAIT
        while not await self._kept_to_memory():
            if time.monotonic() < give_up:
                await asyncio.sleep(0.05)
            else:
                message = "all models that are loaded are being asked, and there is no room for another"
                raise RequestError(503, message, code="busy", retry_after=5)

    async def _kept_to_memory(self) -> bool:
        """Let go of idle models, the least recently used first, until the rest fits; False where it does not."""
        while True:
            slots = list(self._slots.values())
            # Asking the kernel takes milliseconds a model, in which no request would be read.
            if await asyncio.to_thread(lambda: sum(slot.bytes() for slot in slots)) <= self._memory:  # noqa: B023
                return True
            idle = [(slot.used, key) for key, slot in self._slots.items() if slot.idle]
            if not idle:
                return False
            await self._drop(min(idle)[1])

    async def _drop(self, key: Key) -> None:
        slot = self._slots.pop(key, None)
        if slot and (model := slot.model):
            await asyncio.to_thread(model.engine.stop)
            logger.info("let go: %s (%s)", *key)
            metrics.LOADED.dec()

    async def _watch(self) -> None:
        """Ask what is current; take up what has become so; keep to the memory."""
        while True:
            with contextlib.suppress(MynahError):  # it says so itself
                await asyncio.to_thread(self._current.ask)
            try:
                await self._renew()
            except Exception:
                logger.exception("the pool's watch")
            await asyncio.sleep(LOOK)

    async def _renew(self) -> None:
        now = time.monotonic()
        self._failed = {key: known for key, known in self._failed.items() if known[0] > now}
        models = self._current.models()
        loaded = {key: slot for key, slot in self._slots.items() if slot.model}
        for (bot, id), slot in loaded.items():
            current = models.get(bot)
            if current in (id, None) or not slot.was_current:
                continue
            new = self._slots.get((bot, current))
            if new and new.model:
                if slot.idle:
                    await self._drop((bot, id))
            elif not new:
                with contextlib.suppress(RequestError):  # told when it failed
                    self._slot((bot, current)).was_current = True
        await self._kept_to_memory()

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # asyncio keeps no reference of its own
        task.add_done_callback(self._tasks.discard)
