"""The simulators' verbs."""

import os

import click


@click.command(
    "x-simulator",
    epilog="Example: mynah x-simulator --port 8090, then set the variables it prints and mynah post fortune",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535))
def x_simulator(host: str, port: int) -> None:
    """A stand-in for X's API to try a bot with: keeps what it was told in a file, shows it on a page."""
    from mynah.settings import Settings
    from simulators.x.api import serve

    serve(host, port, Settings.read(os.environ).make_home() / "x-simulator.jsonl")
