"""Serving's verbs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mynah.errors import MynahError, UsageError
from mynah.options import bot_name

if TYPE_CHECKING:
    from mynah.settings import Settings


@click.command(epilog="Example: mynah serve fortune --port 8080, then curl localhost:8080/v1/models/fortune")
@click.argument("bot", metavar="BOT")
@click.option("--model", metavar="ID", help="Serve this model instead of the current one.")
@click.option("--model-dir", type=click.Path(path_type=Path), help="Serve the model in this folder instead.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Compute on this many threads, instead of all that the machine or the container has.",
)
@click.option(
    "--cache-gb",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Memory for keys and values, at the most. Long prompts of a large model need more.",
)
@click.option(
    "--queue",
    default=256,
    show_default=True,
    type=click.IntRange(min=1),
    help="Texts that are written or wait, from which on a request is answered 429.",
)
@click.option("--quiet", is_flag=True, help="Log warnings and errors only.")
def serve(
    bot: str,
    model: str | None,
    model_dir: Path | None,
    host: str,
    port: int,
    threads: int | None,
    cache_gb: int,
    queue: int,
    quiet: bool,
) -> None:
    """Serve the bot's current model over KServe V1 and V2 and OpenAI's completions, until stopped.

    BOT is the name to serve under. No bot file is read.
    """
    from mynah.settings import Settings
    from serving.model.no_model import MARK
    from serving.model.no_model import serve as serve_no_model

    if model and model_dir:
        raise UsageError("--model and --model-dir name two models: give one of them")
    name = bot_name(bot)
    folder = model_dir or model_folder(Settings.read(os.environ), name, model)
    if (folder / MARK).exists():
        serve_no_model(name, host, port)
        return
    from serving.model.server import serve

    serve({name: folder}, host, port, threads, cache_gb, queue, quiet)


def model_folder(settings: "Settings", bot: str, id: str | None) -> Path:
    """A local folder with the bot's current model, or with the one that has this id.

    Raises MynahError where no model is current. Postgres is asked for the current one only, and then let go.
    """
    if id is None:
        from mynah.database import served

        with settings.connect() as connection:
            current = served.current(connection, bot)
        if current is None:
            if next(settings.bucket.manifests(bot, "models"), None):
                raise MynahError(f"none of bot {bot}'s models is current: run `mynah promote {bot}`")
            raise MynahError(f"bot {bot} has no model in {settings.bucket.url}: run `mynah train {bot}`")
        id = current.model
    return settings.bucket.fetch(settings.home / "models" / bot / id, bot, "models", id)


@click.command(hidden=True, epilog="Example: mynah exporter fortune jokes --port 9090")
@click.argument("bots", nargs=-1, required=True, metavar="BOT…")
@click.option("--port", default=9090, show_default=True, type=click.IntRange(1, 65535))
def exporter(bots: tuple[str, ...], port: int) -> None:
    """Tell Prometheus what Postgres holds of these bots: texts by state, and the time of the last post."""
    from mynah.settings import Settings
    from serving.exporter import serve

    serve(Settings.read(os.environ), list(bots), port)
