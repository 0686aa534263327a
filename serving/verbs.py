"""Serving's verbs."""

import ipaddress
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from mynah.errors import MynahError, UsageError
from mynah.options import bot_name, load, show, verb

if TYPE_CHECKING:
    from mynah.settings import Settings


@click.command(epilog="Examples: mynah serve fortune --port 8080 · mynah serve --all --memory-gb 4")
@click.argument("bots", nargs=-1, metavar="[BOT]…")
@click.option("--all", "all_bots", is_flag=True, help="Serve every bot that has a current model.")
@click.option("--paged", is_flag=True, help="Load a model when it is asked, as is done for several bots.")
@click.option("--model", metavar="ID", help="Serve this model instead of the current one.")
@click.option("--model-dir", type=click.Path(path_type=Path), help="Serve the model in this folder instead.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="Speak V2 over gRPC too, on this port.")
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
    help="Memory for a model's keys and values, at the most. Long prompts of a large model need more.",
)
@click.option(
    "--memory-gb",
    default=4.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Of several bots: memory for all models that are loaded at one time.",
)
@click.option(
    "--queue",
    default=256,
    show_default=True,
    type=click.IntRange(min=1),
    help="Texts of a model that are written or wait, from which on a request is answered 429.",
)
@click.option("--quiet", is_flag=True, help="Log warnings and errors only.")
def serve(
    bots: tuple[str, ...],
    all_bots: bool,
    paged: bool,
    model: str | None,
    model_dir: Path | None,
    host: str,
    port: int,
    grpc_port: int | None,
    threads: int | None,
    cache_gb: int,
    memory_gb: float,
    queue: int,
    quiet: bool,
) -> None:
    """Serve the current model of a bot, or of several, over KServe V1 and V2 and OpenAI's completions, until stopped.

    BOT is the name to serve under. No bot file is read. Of several bots, a model is loaded when it is first asked, and
    the one that was asked least recently goes when memory is short; NAME@ID is another model than the current one.
    """
    from mynah.settings import Settings
    from serving.model.no_model import MARK
    from serving.model.no_model import serve as serve_no_model

    if model and model_dir:
        raise UsageError("--model and --model-dir name two models: give one of them")
    if all_bots == bool(bots):
        raise UsageError("name one bot or several, or give --all")
    many = paged or all_bots or len(bots) > 1
    if many and (model or model_dir):
        raise UsageError("--model and --model-dir are of a server of one bot: name one, or ask for BOT@ID")
    names = [bot_name(bot) for bot in bots]
    settings = Settings.read(os.environ)
    if not many:
        (name,) = names
        folder = model_dir or model_folder(settings, name, model)
        if (folder / MARK).exists():
            serve_no_model(name, host, port)
            return
    from serving.model.engine import Options
    from serving.model.models import Models, OneModel
    from serving.model.server import serve

    options = Options(threads, cache_gb, queue)

    def start() -> Models:
        if not many:
            return OneModel(name, folder, options)
        from serving.model.current import Current
        from serving.model.pool import Pool

        current = Current(settings, None if all_bots else names)
        return Pool(current, lambda bot, id: fetched(settings, bot, id), int(memory_gb * 2**30), options)

    serve(start, host, port, grpc_port, quiet, settings.api_keys)


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
    return settings.bucket.fetch(settings.home / "models" / bot / id, bot, "models", id, _Served())


def fetched(settings: "Settings", bot: str, id: str) -> Path | None:
    """A local folder with a bot's model; None where there is no such model. Older copies than the last two are removed.

    Raises MynahError where it cannot be fetched.
    """
    if settings.bucket.manifest(bot, "models", id) is None:
        return None
    copies = settings.home / "models" / bot
    folder = settings.bucket.fetch(copies / id, bot, "models", id, _Served())
    if folder == copies / id:
        folder.touch()
        for old in sorted(copies.iterdir(), key=lambda copy: copy.stat().st_mtime)[:-2]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


class _Served:
    """The names of a model's files that a server needs."""

    def __contains__(self, name: object) -> bool:
        return str(name).startswith("openvino/")


def networks(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks. Raises BadParameter where one is neither."""
    for each in given:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise click.BadParameter(f"{error}: give an address, or a network such as 10.0.0.0/8") from None
    return given


@click.command(epilog="Examples: mynah play fortune · mynah play left right --port 8000 · mynah play --all")
@click.argument("bots", nargs=-1, metavar="[BOT]…")
@click.option("--all", "all_bots", is_flag=True, help="Every bot that has a file in MYNAH_BOTS.")
@click.option("--endpoint", help="Where the models are served ({bot} stands for a bot's name), instead of here.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--requests-per-minute", default=300, show_default=True, type=click.IntRange(0), help="Per address; 0: any number."
)
@click.option(
    "--prompts-per-minute",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Per address, of those that a model must write for; 0: any number.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    callback=networks,
    help="An address or network (10.0.0.0/8) of proxies before it, which tell whom they ask for; may be repeated.",
)
@click.option("--quiet", is_flag=True, help="Log warnings and errors only.")
def play(
    bots: tuple[str, ...],
    all_bots: bool,
    endpoint: str | None,
    host: str,
    port: int,
    requests_per_minute: int,
    prompts_per_minute: int,
    proxies: tuple[str, ...],
    quiet: bool,
) -> None:
    """Answer prompts with the bots' texts, judged and ranked, over HTTP, until stopped.

    What was asked before is answered from Postgres. A model server is started for the rest, where no endpoint is named.
    """
    from mynah.settings import Settings
    from serving.tweets.allowance import Allowance
    from serving.tweets.server import serve

    if all_bots == bool(bots):
        raise UsageError("name one bot or several, or give --all")
    settings = Settings.read(os.environ)
    named = sorted(map(str, settings.bots.glob("*.yaml"))) if all_bots else bots
    if not named:
        raise UsageError(f"no bot file in MYNAH_BOTS={settings.bots}: write one, or name another folder")
    loaded = {bot.name: bot for bot, _ in (load(name, ()) for name in named)}
    with served_at(list(loaded), endpoint, settings) as settings:
        serve(settings, loaded, host, port, Allowance(requests_per_minute, prompts_per_minute), proxies, quiet)


@click.command(epilog="Examples: mynah prewarm fortune prompts.txt · echo 'Love is' | mynah prewarm fortune -")
@verb
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--endpoint", help="Where the model is served ({bot} stands for the bot's name), instead of here.")
def prewarm(bot: str, file: TextIO, overrides: tuple[str, ...], as_json: bool, endpoint: str | None) -> None:
    """Have the prompts of FILE, one per line, answered before people ask them (- for standard input).

    The Play page suggests them. What the current model has answered is passed over: run it again after a promotion.
    """
    from serving.tweets.prewarm import prewarm

    loaded, settings = load(bot, overrides)
    with served_at([loaded.name], endpoint, settings) as settings:
        found = prewarm(settings, loaded, file)
    show(found, as_json)


@contextmanager
def served_at(bots: Sequence[str], endpoint: str | None, settings: "Settings") -> "Iterator[Settings]":
    """Settings that know where the bots' models are served: by a child of this process, where no endpoint is named."""
    from mynah.local_server import started

    with ExitStack() as server:
        endpoint = endpoint or settings.environment.get("MYNAH_ENDPOINT")
        if not endpoint:
            endpoint = server.enter_context(started([*bots, "--paged"]))
        yield replace(settings, endpoint=endpoint)


@click.command(hidden=True, epilog="Example: mynah exporter fortune jokes --port 9090")
@click.argument("bots", nargs=-1, required=True, metavar="BOT…")
@click.option("--port", default=9090, show_default=True, type=click.IntRange(1, 65535))
def exporter(bots: tuple[str, ...], port: int) -> None:
    """Tell Prometheus what Postgres holds of these bots: texts by state, and the time of the last post."""
    from mynah.settings import Settings
    from serving.exporter import serve

    serve(Settings.read(os.environ), list(bots), port)
