"""The scrapers' verbs."""

import click

from mynah.errors import MynahError
from mynah.options import load, show, verb


@click.command(epilog="Examples: mynah scrape fortune · mynah scrape astrology --estimate")
@click.option("--estimate", "estimate_only", is_flag=True, help="Only tell what it would cost; read nothing.")
@verb
def scrape(bot: str, overrides: tuple[str, ...], as_json: bool, estimate_only: bool) -> None:
    """Read the bot's sources into the bucket; nothing is written twice."""
    loaded, settings = load(bot, overrides)
    if estimate_only:
        from scrapers.cost import estimate

        show(estimate(loaded, settings), as_json)
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
