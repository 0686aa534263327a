"""The scrapers' verbs: what was scraped, and what cleaning makes of it."""

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
