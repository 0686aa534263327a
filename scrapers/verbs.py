"""The scrapers' verbs."""

import click

from mynah.errors import MynahError
from mynah.options import load, show, verb


@click.command(epilog="Example: mynah scrape fortune")
@verb
def scrape(bot: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read the bot's sources into the bucket; nothing is written twice."""
    from scrapers.scrape import scrape

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "scrape"):
        scraped = scrape(loaded, settings)
    if scraped.found or as_json:
        show(scraped, as_json)
    if scraped.failed:
        raise MynahError(
            "; ".join(f"bot {loaded.name}, source {name}: {error}" for name, error in scraped.failed.items())
        )
