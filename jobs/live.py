"""Write the text that an account posts now, without a person: the mode `live`."""

from jobs.answering import answering
from jobs.generate import Generated, generate
from mynah.bot import Bot
from mynah.endpoint import AWAKE_WITHIN
from mynah.settings import Settings

MOST = 100  # texts that the model writes until one passes every rule


def write_one(bot: Bot, settings: Settings) -> Generated:
    """Ask the bot's model for texts until one passes every rule, and approve it. A server that sleeps is woken.

    Raises MynahError where the model gives no answer.
    """
    bot = bot.model_copy(update={"judge": bot.judge.model_copy(update={"approve_best": 1})})
    wake = bot.serve.sleeps
    with answering(bot, settings, "post", wake) as address:
        return generate(bot, settings, address, AWAKE_WITHIN if wake else 0, good=1, limit=MOST)
