"""The scrapers' verbs: what was scraped, and what cleaning makes of it."""

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


@click.command(epilog="Example: mynah clean fortune --explain")
@click.option("--explain", is_flag=True, help="Show, for some documents, which rule changed or left out what.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=20, show_default=True, help="How many documents to show."
)
@verb
def clean(bot: str, overrides: tuple[str, ...], as_json: bool, explain: bool, samples: int) -> None:
    """Count what each rule of the section clean does to what was scraped. Nothing is changed."""
    from scrapers.clean import check, shown

    loaded, settings = load(bot, overrides)
    checked = check(loaded, settings.bucket, samples if explain else 0)
    if checked.samples and not as_json:
        from rich.console import Console

        console = Console(highlight=False)
        for sample in checked.samples:
            console.print(shown(sample, console.is_terminal and not console.no_color), soft_wrap=True)
    show(checked, as_json)
