"""The scrapers' verbs."""

from typing import TYPE_CHECKING

import click

from mynah.errors import MynahError, UsageError
from mynah.options import load, show, verb

if TYPE_CHECKING:
    from mynah.bot import Bot
    from mynah.settings import Settings


@click.command(epilog="Examples: mynah scrape fortune · mynah scrape astrology --estimate")
@click.option("--estimate", "estimate_only", is_flag=True, help="Only tell what it would cost; read nothing.")
@click.option("--login", is_flag=True, help="Sign in to Telegram, once, for sources that name a session.")
@verb
def scrape(bot: str, overrides: tuple[str, ...], as_json: bool, estimate_only: bool, login: bool) -> None:
    """Read the bot's sources into the bucket; nothing is written twice."""
    loaded, settings = load(bot, overrides)
    if estimate_only:
        from scrapers.cost import estimate

        show(estimate(loaded, settings), as_json)
        return
    if login:
        _login(loaded, settings)
        return
    from scrapers.scrape import scrape

    with settings.alone(loaded.name, "scrape"):
        scraped = scrape(loaded, settings)
    if scraped.found or as_json:
        show(scraped, as_json)
    if scraped.failed:
        raise MynahError(
            "; ".join(f"bot {loaded.name}, source {name}: {error}" for name, error in scraped.failed.items())
        )


def _login(bot: "Bot", settings: "Settings") -> None:
    """Write the session of every source that names one."""
    from mynah.bot.sources.telegram import TelegramSource
    from scrapers.telegram.login import login

    sources = [source for source in bot.sources.values() if isinstance(source, TelegramSource)]
    sessions = {source.session for source in sources if source.session}
    if not sessions:
        raise UsageError(f"bot {bot.name} needs no login: no source of kind telegram names a session")
    for session in sorted(sessions):
        file = login(session, settings, click.prompt, lambda question: str(click.prompt(question, hide_input=True)))
        click.echo(f"{file}: the session is written; whoever has it, has the account")
