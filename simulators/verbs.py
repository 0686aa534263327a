"""The simulators' verbs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _simulator(port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that every simulator has."""
    options = (
        click.option("--host", default="127.0.0.1", show_default=True),
        click.option("--port", default=port, show_default=True, type=click.IntRange(0, 65535)),
        click.option(
            "--hostile",
            multiple=True,
            metavar="storm|KIND:PERCENT",
            help="Have so many percent of the posts go wrong: lost, cut, half, late, after, broken, later, 429, 503, "
            "504; reads: of what is read. storm: all of it.",
        ),
        click.option("--seed", default=1, show_default=True, help="Another one lets other requests go wrong."),
        click.option("--clock-skew", default=0.0, help="Seconds that the service's clock is ahead of this one."),
        click.option(
            "--lag", default=0.0, type=click.FloatRange(min=0), help="Seconds until a post shows where it is read."
        ),
    )

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return decorate


@click.command(
    "x-simulator",
    epilog="Example: mynah x-simulator --users users.jsonl --posts posts.jsonl --trouble 503:10, then set the "
    "variables it prints and mynah post fortune, or scrape a source of the kind x",
)
@_simulator(8090)
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
def x_simulator(users: Path | None, posts: Path | None, window: float, trouble: tuple[str, ...], **shared: Any) -> None:
    """A stand-in for X's API to try a bot with: keeps what it was told in a file, shows it on a page."""
    from simulators.x.api import serve
    from simulators.x.troubles import parse
    from simulators.x.world import read_world

    where, how = _arguments("x-simulator.jsonl", **shared)
    serve(*where, world=read_world(users, posts), troubles=parse(trouble), window=window, **how)


@click.command(
    "mastodon-simulator",
    epilog="Example: mynah mastodon-simulator --hostile storm, then set the variables it prints and post to an account "
    "of the kind mastodon",
)
@_simulator(8091)
@click.option("--work", default=0.0, type=click.FloatRange(min=0), help="Seconds that a status takes to be made.")
@click.option("--repeats-fail", is_flag=True, help="Answer a status that is sent again, with its key, by 500.")
@click.option(
    "--window", default=300.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds of the rate limit."
)
def mastodon_simulator(work: float, repeats_fail: bool, window: float, **shared: Any) -> None:
    """A stand-in for a server of Mastodon to post to: keeps what it was told in a file, shows it on a page."""
    from simulators.mastodon.api import serve

    where, how = _arguments("mastodon-simulator.jsonl", **shared)
    serve(*where, work=work, repeats_fail=repeats_fail, window=window, **how)


def _arguments(
    file: str, host: str, port: int, hostile: tuple[str, ...], seed: int, clock_skew: float, lag: float
) -> tuple[tuple[str, int, Path], dict[str, Any]]:
    """Where a simulator listens and keeps what it is told, and how it behaves."""
    from mynah.settings import Settings
    from simulators.hostile import parse

    odds = parse(hostile)
    state = Settings.read(os.environ).make_home() / file
    return (host, port, state), {"odds": odds, "seed": seed, "ahead": clock_skew, "lag": lag}
