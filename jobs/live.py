"""Write the text that an account posts now, without a person: the mode `live`."""

from contextlib import ExitStack

from jobs.generate import Generated, generate
from mynah.bot import Bot
from mynah.database.wanted import wanted
from mynah.endpoint import AWAKE_WITHIN
from mynah.settings import Settings

MOST = 100  # texts that the model writes until one passes every rule


def write_one(bot: Bot, settings: Settings) -> Generated:
    """Ask the bot's model for texts until one passes every rule, and approve it. A server that sleeps is woken.

    Raises MynahError where the model gives no answer.
    """
    bot = bot.model_copy(update={"judge": bot.judge.model_copy(update={"approve_best": 1})})
    endpoint = settings.endpoint_of(bot.name)
    with ExitStack() as server:
        if bot.serve.sleeps:
            server.enter_context(wanted(settings.connect, bot.name, "post"))
        if bot.serve.mode == "none" and not settings.environment.get("MYNAH_ENDPOINT"):
            from mynah.local_server import serving

            endpoint = server.enter_context(serving(bot.name))
        return generate(bot, settings, endpoint, AWAKE_WITHIN if bot.serve.sleeps else 0, good=1, limit=MOST)
