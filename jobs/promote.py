"""Make another model the bot's current one, judged first, or go back to the one before.

Which model is current stands in Postgres (mynah.database.served): an intention is written before anything is changed,
and ended when the new model is seen to serve. A process that is killed between the two leaves the intention, and the
next one ends it.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jobs.adopt import adopt
from jobs.judging import JudgedBad, judge_answers, judge_loss
from jobs.place import Place
from jobs.samples import CopiedFrom, judge_samples
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError

FREED_WITHIN = 10.0  # seconds until Postgres sees that a process was killed
POLL = 0.2  # seconds between two looks
ROLLED_BACK = "rolled back from"  # how the reason of a rollback begins


@dataclass(frozen=True)
class Promoted:
    """What became of the current model. `checks` are what was found out about the new one, a line each."""

    bot: str
    model: str
    previous: str | None
    changed: bool
    message: str
    checks: dict[str, str]

    def summary(self) -> str:
        return "\n".join([self.message, *(f"  {name}: {value}" for name, value in self.checks.items())])


class Unfinished(MynahError):
    """The place was changed and could not be put back; the next run ends it."""


def promote(
    bot: Bot,
    bucket: Bucket,
    connection: Connection,
    place: Place,
    model: str | None = None,
    force: bool = False,
    copied_from: CopiedFrom | None = None,
) -> Promoted:
    """Make `model`, or the bot's newest, the current one.

    `copied_from` knows the texts that a model was trained on; without it, none is asked whether it recites them.
    `force` passes over the dev losses and over what it recites, not over errors or slowness. A newest model that was
    refused before is left alone. Raises MynahError, with the old model still serving, where the new one is not whole,
    is worse, does not start, errs, is too slow or recites: then it is refused. Where something else fails, it is not.
    """
    with _alone(connection, bot.name):
        _catch_up(bot.name, bucket, connection, place, wait=True)
        serving = place.serving()
        manifest = _manifest(bot.name, bucket, model)
        id = str(manifest["id"])
        if id == serving:
            return Promoted(bot.name, id, None, False, f"{id} is {bot.name}'s current model already", {})
        if not model and not force and id in served.refused(connection, bot.name):
            message = (
                f"nothing to promote: {id}, the newest, was refused before; `mynah promote {bot.name} {id}` tries again"
            )
            return Promoted(bot.name, id, None, False, message, {})
        try:
            loss = judge_loss(bucket, bot, manifest, serving, force)
        except JudgedBad as error:
            raise _refused(connection, bot.name, id, serving, error) from None

        def sample(address: str, name: str) -> dict[str, str]:
            if copied_from is None:
                return {}
            return judge_samples(bot, bucket, id, address, name, copied_from, serving, place.keys, force)

        why, checks = f"promoted: dev loss {loss}", {"dev loss": loss}
        return _change(bot, connection, place, id, why, checks, place.address, sample)


def rollback(bot: Bot, bucket: Bucket, connection: Connection, place: Place) -> Promoted:
    """Go back to the model that was current before this one. Raises MynahError where none is known.

    The model that is left counts as refused: what promotes by the clock does not bring it back. What it answers, or
    that it does not, is not asked. A rollback that was interrupted is ended, and does not go back once more.
    """
    with _alone(connection, bot.name):
        pending = served.pending(connection, bot.name)
        interrupted = pending is not None and pending.why.startswith(ROLLED_BACK)
        _catch_up(bot.name, bucket, connection, place, wait=interrupted)
        if pending and interrupted and place.serving() == pending.model:
            message = f"{pending.model} is {bot.name}'s current model: the rollback that was interrupted has ended"
            return Promoted(bot.name, pending.model, None, True, message, {})
        previous = served.previous(connection, bot.name)
        if previous is None:
            raise MynahError(
                f"bot {bot.name} has no model to go back to: name one with `mynah promote {bot.name} MODEL`"
            )
        id = str(_manifest(bot.name, bucket, previous.model)["id"])
        left = place.serving()
        if left:
            served.refuse(connection, bot.name, left, f"{ROLLED_BACK}, to {id}")
        return _change(bot, connection, place, id, f"{ROLLED_BACK} {left or 'no model'}", {}, None, lambda *_: {})


@contextmanager
def _alone(connection: Connection, bot: str) -> Iterator[None]:
    give_up = time.monotonic() + FREED_WITHIN
    while True:
        with served.change_lock(connection, bot) as alone:
            if alone:
                yield
                return
        if time.monotonic() >= give_up:
            raise MynahError(f"another promotion or rollback of {bot} is at work: wait for it")
        time.sleep(POLL)


def _catch_up(bot: str, bucket: Bucket, connection: Connection, place: Place, wait: bool) -> None:
    """End what a killed process began, and write down what serves where somebody else changed it.

    Without `wait`, a model that was to serve counts as current though it may never answer: it is about to be left.
    """
    place.clean_up()
    serving = place.serving()
    pending = served.pending(connection, bot)
    if pending and pending.model != serving:
        _say(f"a change to {pending.model}, begun at {pending.asked_at:%Y-%m-%d %H:%M %Z}, was interrupted: withdrawn")
        served.withdraw(connection, pending.id, "interrupted before the model was changed")
    elif pending and not wait:
        served.carry_out(connection, pending.id)
    elif pending:
        _say(f"a change to {pending.model}, begun at {pending.asked_at:%Y-%m-%d %H:%M %Z}, was interrupted: ending it")
        before = served.current(connection, bot)
        try:
            with _intention(connection, place, pending, before.model if before else None):
                place.change(pending.model)
        except Unfinished:
            raise
        except MynahError as error:
            _say(str(error))
        serving = place.serving()
    current = served.current(connection, bot)
    if serving and (current is None or current.model != serving):
        adopt(bucket, connection, bot, serving)


def _change(
    bot: Bot,
    connection: Connection,
    place: Place,
    id: str,
    why: str,
    checks: dict[str, str],
    old: str | None,
    sample: Callable[[str, str], dict[str, str]],
) -> Promoted:
    """Judge a running model beside the one that serves, whose address is `old`, and let it take over.

    `sample` is called with its address and its name there, and says what more was found out, or raises JudgedBad.
    """
    begin = time.monotonic()
    serving = place.serving()
    with _intention(connection, place, served.ask(connection, bot.name, id, why), serving):
        with place.beside(id) as (address, name):
            checks = {**checks, "ready after": f"{time.monotonic() - begin:.1f} s"}
            checks |= judge_answers(bot, address, old, place.keys, name)
            checks |= sample(address, name)
        _say(f"{id} is good: it takes over")
        place.change(id)
    checks["current after"] = f"{time.monotonic() - begin:.1f} s"
    message = f"{id} is {bot.name}'s current model" + (f", before it {serving}" if serving else "")
    return Promoted(bot.name, id, serving, True, message, checks)


@contextmanager
def _intention(connection: Connection, place: Place, asked: served.Served, serving: str | None) -> Iterator[None]:
    """Around what is intended: carried out where it succeeds; where it fails, the old model back and it withdrawn.

    Raises MynahError that says what is wrong and what goes on serving; Unfinished where the place cannot be put back.
    """
    try:
        yield
    except MynahError as error:
        try:
            place.put_back(serving)
        except MynahError as second:
            raise Unfinished(
                f"the change of {asked.bot} to {asked.model} has not ended ({error}), "
                f"and {serving or 'no model'} is not back yet ({second}): run this again to end it"
            ) from None
        served.withdraw(connection, asked.id, str(error))
        if isinstance(error, JudgedBad):
            raise _refused(connection, asked.bot, asked.model, serving, error) from None
        raise MynahError(f"{_stays(asked.bot, asked.model, serving)}: {error}; it is not refused: try again") from None
    with connection.transaction():
        served.carry_out(connection, asked.id)
        served.accept(connection, asked.bot, asked.model)


def _refused(connection: Connection, bot: str, id: str, serving: str | None, error: JudgedBad) -> MynahError:
    served.refuse(connection, bot, id, str(error))
    return MynahError(f"{_stays(bot, id, serving)}: {error}")


def _stays(bot: str, id: str, serving: str | None) -> str:
    return f"{id} is not promoted, {serving or 'no model'} goes on serving {bot}"


def _manifest(bot: str, bucket: Bucket, model: str | None) -> dict[str, Any]:
    if model is None:
        manifest = next(bucket.manifests(bot, "models"), None)
        if manifest is None:
            raise MynahError(f"bot {bot} has no model in {bucket.url}: train one first")
    else:
        manifest = bucket.manifest(bot, "models", model)
        if manifest is None:
            raise MynahError(
                f"{bucket.address(bot, 'models', model)} has no model.json: there is no such model, or it was "
                "never written whole"
            )
    return manifest


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
