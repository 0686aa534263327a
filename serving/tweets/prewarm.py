"""`mynah prewarm`: answers that stand in Postgres before anybody asks."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mynah.bot import Bot
from mynah.database.prompts import Answer
from mynah.errors import MynahError, UsageError
from mynah.progress import track
from mynah.settings import Settings
from serving.tweets.asked import Asked, Wrong, read
from serving.tweets.desk import COME_AGAIN, LOOK, WRITERS, Busy, Desk
from serving.tweets.server import connections


@dataclass(frozen=True)
class Prewarmed:
    """What became of the prompts."""

    prompts: int
    written: int
    """The others were known."""

    def summary(self) -> str:
        return f"{self.prompts} prompts: {self.written} written now, {self.prompts - self.written} known already"


def prewarm(settings: Settings, bot: Bot, lines: Iterable[str]) -> Prewarmed:
    """Have the prompts that `lines` hold answered by the bot's current model, and suggested to everybody.

    Raises UsageError where a line is no prompt, before any is asked, and MynahError where some cannot be answered,
    after all others were.
    """
    asked = prompts_of(bot.name, lines)
    with connections(settings) as pool:
        desk = Desk(settings, {bot.name: bot}, pool.connection)
        try:
            with ThreadPoolExecutor(WRITERS, "prewarm") as askers:
                found = list(track(askers.map(lambda each: answered(desk, each), asked), "prompts", len(asked)))
        finally:
            desk.stop()
    failed = [(each, answer) for each, (answer, _) in zip(asked, found, strict=True) if answer.state == "failed"]
    if failed:
        (first, why), number = failed[0], len(failed)
        raise MynahError(
            f"{number} of {len(asked)} prompts were not answered, such as {first.prompt!r}: {why.why}; "
            "run it again: what was answered is kept"
        )
    return Prewarmed(len(asked), sum(new for _, new in found))


def prompts_of(bot: str, lines: Iterable[str]) -> list[Asked]:
    """The prompts, each once; empty lines are passed over. Raises UsageError."""
    found: dict[str, Asked] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                asked = read({"prompt": line}, bot)
            except Wrong as error:
                raise UsageError(f"line {number}: {error}") from None
            found.setdefault(asked.key, asked)
    if not found:
        raise UsageError("there is no prompt in it: write one per line")
    return list(found.values())


def answered(desk: Desk, asked: Asked) -> tuple[Answer, bool]:
    """The answer when it is written or has failed, and whether it was not known before. Raises NoModel."""
    while True:
        try:
            answer = desk.ask(asked, by_operator=True)
            break
        except Busy:
            time.sleep(COME_AGAIN)
    new = answer.state == "writing"
    while answer.state == "writing":
        time.sleep(LOOK)
        answer = desk.look(asked.bot, answer.id) or answer
    return answer, new
