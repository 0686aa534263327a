"""Serving's verbs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mynah.errors import MynahError
from mynah.options import bot_name

if TYPE_CHECKING:
    from mynah.settings import Settings


@click.command(epilog="Example: mynah serve fortune --port 8080, then curl localhost:8080/v1/models/fortune")
@click.argument("bot", metavar="BOT")
@click.option("--model", metavar="ID", help="Serve this model instead of the current one.")
@click.option("--model-dir", type=click.Path(path_type=Path), help="Serve the model in this folder.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
def serve(bot: str, model: str | None, model_dir: Path | None, host: str, port: int) -> None:
    """Serve the newest model over KServe V1 and V2 and OpenAI's completions, until stopped.

    BOT is the name to serve under; no bot file is read.
    """
    from mynah.settings import Settings
    from serving.model.no_model import MARK
    from serving.model.no_model import serve as serve_no_model

    name = bot_name(bot)
    folder = model_dir or newest_model(Settings.read(os.environ), name, model)
    if (folder / MARK).exists():
        serve_no_model(name, host, port)
        return
    from serving.model.server import serve

    serve(name, folder, host, port)


def newest_model(settings: "Settings", bot: str, id: str | None) -> Path:
    """A local folder with the bot's newest model, or the one with this id."""
    if id is None:
        manifest = next(settings.bucket.manifests(bot, "models"), None)
        if manifest is None:
            raise MynahError(f"bot {bot} has no model in {settings.bucket.url}: run `mynah train {bot}`")
        id = str(manifest["id"])
    return settings.bucket.fetch(settings.home / "models" / bot / id, bot, "models", id)


@click.command(hidden=True, epilog="Example: mynah exporter fortune jokes --port 9090")
@click.argument("bots", nargs=-1, required=True, metavar="BOT…")
@click.option("--port", default=9090, show_default=True, type=click.IntRange(1, 65535))
def exporter(bots: tuple[str, ...], port: int) -> None:
    """Tell Prometheus what Postgres holds of these bots: texts by state, the time of the last post."""
    from mynah.settings import Settings
    from serving.exporter import serve

    serve(Settings.read(os.environ), list(bots), port)
