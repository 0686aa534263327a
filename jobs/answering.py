"""Where a bot's model answers: at an address that is named, or on a server that is woken or started for it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mynah.bot import Bot
from mynah.database.wanted import wanted
from mynah.settings import Settings


@contextmanager
def answering(bot: Bot, settings: Settings, what: str, wake: bool, endpoint: str | None = None) -> Iterator[str]:
    """The address of the bot's model while the block runs: `endpoint`, else MYNAH_ENDPOINT, else the usual one.

    With `wake`, a server that sleeps is asked for; `what` says what for. For a bot with `serve: {mode: none}`, one is
    started where no address is named. Raises MynahError where it is not ready.
    """
    with ExitStack() as server:
        if wake:
            server.enter_context(wanted(settings.connect, bot.name, what))
        if bot.serve.mode == "none" and not (endpoint or settings.environment.get("MYNAH_ENDPOINT")):
            from mynah.local_server import serving

            endpoint = server.enter_context(serving(bot.name))
        yield endpoint or settings.endpoint_of(bot.name)
