"""The `mynah` command: one subcommand a verb. The only place that reads flags and the environment.

Here the parts are put together; each is imported when its verb runs, so that `mynah post` starts fast.
"""

import errno
import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

import click

import mynah
from mynah import bot as bot_file
from mynah import database
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import MynahError, UsageError

F = TypeVar("F", bound=Callable[..., Any])
PG_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGUSER", "PGPORT")
X_KEYS = ("X_API_KEY", "X_API_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")


class Result(Protocol):
    """What a verb returns: a dataclass that can tell a person what happened."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def summary(self) -> str: ...


@dataclass(frozen=True)
class Settings:
    """The environment, read once."""

    home: Path
    bucket: Bucket
    database_url: str | None
    bots: Path
    endpoint: str
    allow_private: bool
    x_api_url: str | None
    x_keys: tuple[str, ...] | None

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the variables that `mynah --help` lists; an empty one counts as not set."""
        home = Path(env.get("MYNAH_HOME") or ".mynah").expanduser().absolute()
        keys = {name: env.get(name, "") for name in X_KEYS}
        missing = [name for name, value in keys.items() if not value]
        if missing and len(missing) < len(keys):
            raise UsageError(f"{', '.join(missing)} not set: posting to X needs all of {', '.join(X_KEYS)}, or none")
        # Any of PG*: an empty connection string leaves the rest to libpq.
        database_url = env.get("DATABASE_URL") or ("" if any(env.get(name) for name in PG_VARIABLES) else None)
        return cls(
            home=home,
            bucket=Bucket(env.get("MYNAH_BUCKET") or f"file://{home / 'bucket'}"),
            database_url=database_url,
            bots=Path(env.get("MYNAH_BOTS") or "bots"),
            endpoint=env.get("MYNAH_ENDPOINT") or "http://127.0.0.1:8080",
            allow_private=env.get("MYNAH_ALLOW_PRIVATE", "") not in ("", "0"),
            x_api_url=env.get("X_API_URL") or None,
            x_keys=None if missing else tuple(keys.values()),
        )

    def connect(self) -> database.Connection:
        """The database, migrated."""
        self.make_home()
        return database.connect(self.database_url, self.home)

    def make_home(self) -> Path:
        """MYNAH_HOME, made where it is missing. Raises MynahError where it cannot be written."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise MynahError(f"MYNAH_HOME={self.home} cannot be written: {error.strerror}; set another") from None
        return self.home

    @contextmanager
    def alone(self, bot: str, verb: str) -> Iterator[None]:
        """Only one `mynah VERB BOT` at a time in this home; the lock goes with the process."""
        with (self.make_home() / f"{bot}-{verb}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MynahError(f"another `mynah {verb} {bot}` is at work: wait for it, or stop it") from None
            yield


class Commands(click.Group):
    """Lists the verbs in the order of the loop rather than of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(mynah.__version__, message="mynah %(version)s")
def cli() -> None:
    """Collect the voice of a domain, fine-tune a language model on it, serve it, curate what it says, post it.

    BOT is a bot file, or the name of one in bots/.

    \b
    Environment:
      MYNAH_HOME           where local state lies (.mynah)
      MYNAH_BUCKET         file:///path, s3://bucket/prefix or gs://… (a folder in MYNAH_HOME); S3 reads AWS_*
      DATABASE_URL, PG*    the Postgres server (one of our own in MYNAH_HOME)
      MYNAH_BOTS           the folder of bot files (bots)
      MYNAH_ENDPOINT       where the model is served (http://127.0.0.1:8080)
      MYNAH_ALLOW_PRIVATE  1 lets http sources lead to private addresses
      X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET
                           the account to post to; without them, posts go to a local outbox file
      X_API_URL            another host for X's API, such as `mynah x-simulator`

    \b
    Example:
      mynah run bots/fortune.yaml        the whole loop, once, on this machine
      mynah status fortune
    """


def namespace_option(function: F) -> F:
    """For verbs that ask a cluster."""
    return click.option("--namespace", metavar="NAME", help="Of the cluster, instead of kubectl's current one.")(
        function
    )


def bot_name(bot: str) -> str:
    """The name of the bot that BOT means, where its file is not needed."""
    return Path(bot).stem if bot.endswith((".yaml", ".yml")) else bot


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


def load(bot: str, overrides: tuple[str, ...]) -> tuple[Bot, Settings]:
    settings = Settings.read(os.environ)
    return bot_file.load(bot_file.find(bot, settings.bots), overrides), settings


def show(result: Result, as_json: bool) -> None:
    text = result.summary()
    click.echo(json.dumps({"summary": text, **asdict(result)}, default=str, ensure_ascii=False) if as_json else text)


@cli.command(epilog="Example: mynah run bots/fortune.yaml --again train")
@click.option(
    "--again",
    type=click.Choice(["dataset", "train", "generate"]),
    help="Repeat this step and those after it, though they are done.",
)
@verb
def run(bot: str, overrides: tuple[str, ...], as_json: bool, again: str | None) -> None:
    """All of it, once, on this machine: scrape, dataset, train, serve, generate, post. Skips what is done."""
    from jobs.run import run_loop

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "run"):
        show(run_loop(loaded, str(bot_file.find(bot, settings.bots)), overrides, settings, again), as_json)


@cli.command(epilog="Example: mynah scrape fortune")
@verb
def scrape(bot: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read the bot's sources into the bucket; nothing is written twice."""
    from jobs.scrape import scrape

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "scrape"):
        show(scrape(loaded, settings.bucket, settings.allow_private), as_json)


@cli.command(epilog="Example: mynah dataset fortune")
@click.option("--again", is_flag=True, help="Build it anew though nothing changed.")
@verb
def dataset(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """Clean and deduplicate what was scraped, and split off the dev texts."""
    from training.dataset import build

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "dataset"):
        show(build(loaded, settings.bucket, again), as_json)


@cli.command(epilog="Example: mynah train fortune --set bots.fortune.train.max_steps=20")
@click.option("--again", is_flag=True, help="Train anew though this very model exists.")
@click.option("--on", type=click.Choice(["kubernetes"]), help="Train there, as the chart says, instead of here.")
@namespace_option
@verb
def train(
    bot: str, overrides: tuple[str, ...], as_json: bool, again: bool, on: str | None, namespace: str | None
) -> None:
    """Fine-tune the base model on the newest dataset and publish it. A killed run goes on from its checkpoint.

    On kubernetes, the bot file is the one that was installed there; only its name is taken from BOT.
    """
    if on == "kubernetes":
        from jobs import remote
        from jobs.cluster import connect

        show(remote.train(bot_name(bot), overrides, again, connect(namespace)), as_json)
        return
    if namespace:
        raise UsageError("--namespace goes with --on kubernetes")
    from training.train import train

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "train"):
        show(train(loaded, settings.bucket, settings.home, again), as_json)


@cli.command(epilog="Example: mynah serve fortune --port 8080, then curl localhost:8080/v1/models/fortune")
@click.argument("bot", metavar="BOT")
@click.option("--model", metavar="ID", help="Serve this model instead of the newest.")
@click.option("--model-dir", type=click.Path(path_type=Path), help="Serve the model in this folder.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
def serve(bot: str, model: str | None, model_dir: Path | None, host: str, port: int) -> None:
    """Serve the newest model over KServe V1 and V2 and OpenAI's completions, until stopped.

    BOT is the name to serve under; no bot file is read.
    """
    name = bot_name(bot)
    folder = model_dir or newest_model(Settings.read(os.environ), name, model)
    from serving.server import serve

    serve(name, folder, host, port)


def newest_model(settings: Settings, bot: str, id: str | None) -> Path:
    """A local folder with the bot's newest model, or the one with this id."""
    if id is None:
        manifest = next(settings.bucket.manifests(bot, "models"), None)
        if manifest is None:
            raise MynahError(f"bot {bot} has no model in {settings.bucket.url}: run `mynah train {bot}`")
        id = str(manifest["id"])
    return settings.bucket.fetch(settings.home / "models" / bot / id, bot, "models", id)


@cli.command(epilog="Example: mynah generate fortune --endpoint http://127.0.0.1:8080")
@click.option("--endpoint", help="Where the model is served, instead of MYNAH_ENDPOINT.")
@verb
def generate(bot: str, overrides: tuple[str, ...], as_json: bool, endpoint: str | None) -> None:
    """Ask the served model for texts; judge and store them."""
    from jobs.generate import generate

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        show(generate(loaded, settings.bucket, connection, endpoint or settings.endpoint), as_json)


@cli.command(
    epilog="Examples: mynah curate fortune · mynah curate fortune approve 3 8 · "
    "mynah curate fortune reject 4 --reason 'off topic' · mynah curate fortune edit 5 'A better text.'"
)
@verb
@click.argument("action", default="list", type=click.Choice(["list", "approve", "reject", "putback", "edit"]))
@click.argument("what", nargs=-1)
@click.option("--state", default="candidate", show_default=True, type=click.Choice(database.STATES), help="For list.")
@click.option("--limit", default=20, show_default=True, help="For list.")
@click.option("--reason", default="a person said no", show_default=True, help="For reject.")
def curate(
    bot: str,
    overrides: tuple[str, ...],
    as_json: bool,
    action: str,
    what: tuple[str, ...],
    state: str,
    limit: int,
    reason: str,
) -> None:
    """List, approve, reject, put back or edit what the bot may say.

    ACTION is followed by the ids it is about; edit by one id and the new text.
    """
    from jobs import curate as curation

    loaded, settings = load(bot, overrides)
    result: Result
    with settings.connect() as connection:
        if action == "list":
            result = curation.list_state(loaded, connection, state, limit)
        elif action == "edit":
            if len(what) != 2:
                raise UsageError("edit takes one id and the new text: mynah curate BOT edit ID 'TEXT'")
            result = curation.edit(loaded, connection, ids(what[:1])[0], what[1])
        else:
            to = {"approve": "approved", "reject": "rejected", "putback": "candidate"}[action]
            result = curation.decide(loaded, connection, ids(what), to, reason if to == "rejected" else None)
    show(result, as_json)


def ids(what: tuple[str, ...]) -> list[int]:
    if not what or not all(word.isdecimal() for word in what):
        raise UsageError("name tweets by their ids, e.g. mynah curate BOT approve 3 8")
    return [int(word) for word in what]


@cli.command(epilog="Example: mynah post fortune --dry-run")
@click.option("--scheduled", is_flag=True, help="Only if the last time that post.schedule names has no post yet.")
@click.option("--dry-run", is_flag=True, help="Show what would be posted, and change nothing.")
@verb
def post(bot: str, overrides: tuple[str, ...], as_json: bool, scheduled: bool, dry_run: bool) -> None:
    """Post one random approved text, to X or to the local outbox."""
    from jobs.post import last_due, post

    loaded, settings = load(bot, overrides)
    slot = last_due(loaded, datetime.now(UTC)) if scheduled else None
    with settings.connect() as connection:
        show(post(loaded, connection, account(settings, loaded.name), slot=slot, dry_run=dry_run), as_json)


def account(settings: Settings, bot: str) -> Any:
    """X where keys are set, else the outbox file."""
    if settings.x_keys:
        from jobs.x import XAccount

        return XAccount(*settings.x_keys, api_url=settings.x_api_url)
    from jobs.outbox import Outbox

    return Outbox(settings.home / "outbox" / f"{bot}.jsonl")


@cli.command(epilog="Examples: mynah promote fortune · mynah promote fortune 20261121T062141-0aba1d82 --namespace bots")
@click.option("--force", is_flag=True, help="Promote it though its dev loss is no better.")
@namespace_option
@verb
@click.argument("model", required=False)
def promote(
    bot: str, overrides: tuple[str, ...], as_json: bool, force: bool, namespace: str | None, model: str | None
) -> None:
    """On a cluster: judge MODEL (or the newest) as a canary, and serve it if it is good.

    The model that serves now goes on until the new one answers, and stays where that is no good.
    """
    from jobs import remote
    from jobs.cluster import connect
    from jobs.promote import promote

    cluster = connect(namespace)
    if cluster.inside:
        loaded, settings = load(bot, overrides)
        show(promote(loaded, settings.bucket, cluster, model, force), as_json)
    else:
        name = bot_name(bot)
        flags = [*(f"--set={override}" for override in overrides), *(["--force"] if force else [])]
        show(remote.promote(name, ["promote", name, *([model] if model else []), *flags], cluster), as_json)


@cli.command(epilog="Example: mynah rollback fortune")
@namespace_option
@verb
def rollback(bot: str, overrides: tuple[str, ...], as_json: bool, namespace: str | None) -> None:
    """On a cluster: serve the model again that served before the last promotion."""
    from jobs import remote
    from jobs.cluster import connect
    from jobs.promote import rollback

    cluster = connect(namespace)
    if cluster.inside:
        loaded, settings = load(bot, overrides)
        show(rollback(loaded, settings.bucket, cluster), as_json)
    else:
        name = bot_name(bot)
        flags = [f"--set={override}" for override in overrides]
        show(remote.promote(name, ["rollback", name, *flags], cluster), as_json)


@cli.command(epilog="Example: mynah status fortune")
@click.option("--endpoint", help="Where the model is served, instead of MYNAH_ENDPOINT.")
@verb
def status(bot: str, overrides: tuple[str, ...], as_json: bool, endpoint: str | None) -> None:
    """Where the loop stands: texts by state, last model with its losses, what serves, last and next post."""
    from jobs.status import status

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        endpoint = endpoint or settings.endpoint
        show(status(loaded, settings.bucket, connection, endpoint, datetime.now(UTC)), as_json)


@cli.command(epilog="Example: mynah x-simulator --port 8090, then set the variables it prints and mynah post fortune")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535))
def x_simulator(host: str, port: int) -> None:
    """A stand-in for X's API to try a bot with: keeps what it was told in a file, shows it on a page."""
    from serving.x_simulator import serve

    serve(host, port, Settings.read(os.environ).make_home() / "x-simulator.jsonl")


def main() -> NoReturn:
    """Run the command. Exit 0 when done or nothing was to do, 1 on a failure, 2 on a wrong flag or bot file."""
    # `kill` ends a verb as Ctrl-C does, so that locks, children and the embedded Postgres are cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli.main(prog_name="mynah", standalone_mode=False)
    except click.ClickException as error:
        verb = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "mynah"
        complain(f"{error.format_message()} See `{verb} --help`.")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        complain("stopped")
        sys.exit(130)
    except MynahError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `mynah … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror}: free space or permissions there, or set MYNAH_HOME and MYNAH_BUCKET")
        sys.exit(1)
    except Exception as error:
        import psycopg

        if not isinstance(error, psycopg.OperationalError):
            raise
        complain(f"Postgres: {str(error).strip().splitlines()[0]}; check the server, then run this again")
        sys.exit(1)
    sys.exit(0)


def complain(message: str) -> None:
    """One line on stderr."""
    click.echo(f"mynah: {message}", err=True)
