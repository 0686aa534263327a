"""The scrapers' verbs."""

import click

from mynah.options import load, show, verb


@click.command(epilog="Example: mynah scrape fortune")
@verb
def scrape(bot: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read the bot's sources into the bucket; nothing is written twice."""
    from scrapers.scrape import scrape

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "scrape"):
        show(scrape(loaded, settings), as_json)
