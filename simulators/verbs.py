"""The simulators' verbs."""

import os
from pathlib import Path

import click


@click.command(
    "x-simulator",
    epilog="Example: mynah x-simulator --users users.jsonl --posts posts.jsonl --trouble 503:10, then set the "
    "variables it prints and mynah post fortune, or scrape a source of the kind x",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--users", type=click.Path(path_type=Path), help="Who is there to be read: JSON lines, a user of X's each."
)
@click.option("--posts", type=click.Path(path_type=Path), help="What they wrote: JSON lines, a post of X's each.")
@click.option(
    "--window", default=900.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds of X's rate limits."
)
@click.option(
    "--trouble",
    multiple=True,
    metavar="KIND[:EVERY]",
    help="Have every EVERYth reading request go wrong: by the status 401, 402, 403, 404, 429 or 503, a 403 about the "
    "app, errors beside the data or alone, an empty answer, or one that is slow or cut off.",
)
def x_simulator(
    host: str, port: int, users: Path | None, posts: Path | None, window: float, trouble: tuple[str, ...]
) -> None:
    """A stand-in for X's API to try a bot with: keeps what it was told in a file, shows it on a page."""
    from mynah.settings import Settings
    from simulators.x.api import serve
    from simulators.x.troubles import parse
    from simulators.x.world import read_world

    state = Settings.read(os.environ).make_home() / "x-simulator.jsonl"
    serve(host, port, state, world=read_world(users, posts), troubles=parse(trouble), window=window)
