"""What the verbs of all parts share: the argument BOT, --set, --json, and how a result is shown.

Nothing heavy is imported here, so that `mynah VERB --help` answers at once.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from mynah.bot import Bot
    from mynah.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Result(Protocol):
    """What a verb returns: a dataclass that can tell a person what happened."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def summary(self) -> str: ...


def verb(function: F) -> F:
    """What every verb of a bot takes: BOT, --set and --json."""
    function = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)
    function = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Override a value of the bot file, as in Helm.",
    )(function)
    return click.argument("bot", metavar="BOT")(function)


def on_kubernetes(function: F) -> F:
    """--on and --namespace, for verbs that a cluster can run."""
    function = click.option(
        "--namespace", metavar="NAME", help="Of the cluster, instead of kubectl's current one (with --on kubernetes)."
    )(function)
    return click.option(
        "--on", type=click.Choice(["kubernetes"]), help="Do it there, as the chart says, instead of here."
    )(function)


def check_namespace(on: str | None, namespace: str | None) -> None:
    """Raise UsageError where --namespace stands without a cluster to look for it in."""
    if namespace and on is None:
        raise click.UsageError("--namespace goes with --on kubernetes")


def bot_name(bot: str) -> str:
    """The name of the bot that BOT means, where its file is not needed."""
    return Path(bot).stem if bot.endswith((".yaml", ".yml")) else bot


def load(bot: str, overrides: tuple[str, ...]) -> "tuple[Bot, Settings]":
    """The bot that BOT means, with the overrides, and the environment. Raises UsageError."""
    from mynah import bot as bot_file
    from mynah.settings import Settings

    settings = Settings.read(os.environ)
    return bot_file.load(bot_file.find(bot, settings.bots), overrides), settings


def show(result: Result, as_json: bool) -> None:
    """Print a result: for a person, or as one JSON object with its `summary`."""
    text = result.summary()
    click.echo(json.dumps({"summary": text, **asdict(result)}, default=str, ensure_ascii=False) if as_json else text)
