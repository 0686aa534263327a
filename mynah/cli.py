"""The `mynah` command: which verb lives where, and how it exits. No verb's body is here.

A verb's module is imported when the verb is called (click's lazy groups), so that each starts with what it needs alone,
and a part that is not installed costs only its own verbs.
"""

import difflib
import errno
import importlib
import os
import signal
import sys
from typing import NoReturn

import click

import mynah
from mynah.errors import MynahError

# In the order of the loop. A verb in HIDDEN is for the chart or for another verb, not for people.
VERBS = {
    "run": ("jobs.verbs:run", "All of the loop, once, on this machine; skips what is done."),
    "scrape": ("scrapers.verbs:scrape", "Read the bot's sources into the bucket."),
    "clean": ("scrapers.verbs:clean", "Show what the rules of cleaning do to what was scraped."),
    "dataset": ("training.verbs:dataset", "Clean and deduplicate what was scraped."),
    "train": ("training.verbs:train", "Fine-tune the base model and publish it."),
    "prefer": ("training.verbs:prefer", "Tune the current model on what its curators decided."),
    "distill": ("training.verbs:distill", "Make a smaller model that says what the current one does."),
    "runs": ("jobs.verbs:runs", "The bot's trainings: number, state, losses, time, cost."),
    "logs": ("jobs.verbs:logs", "What a training says; attach to it and detach from it."),
    "stop": ("jobs.verbs:stop", "Stop a training; its checkpoint is kept."),
    "compare": ("training.verbs:compare", "Two trainings side by side, in a picture and a table."),
    "evaluate": ("training.verbs:evaluate", "Measure a model's dev loss beside the current one's."),
    "promote": ("jobs.verbs:promote", "Judge a model, and make it the bot's current one."),
    "rollback": ("jobs.verbs:rollback", "Make the model before the current one again."),
    "prune": ("jobs.verbs:prune", "Delete models, datasets and checkpoints that nothing needs."),
    "push": ("training.verbs:push", "Put a model up on the Hugging Face Hub, with its card."),
    "serve": ("serving.verbs:serve", "Serve the current model until stopped."),
    "play": ("serving.verbs:play", "Answer people's prompts with a bot's texts, over HTTP."),
    "prewarm": ("serving.verbs:prewarm", "Have prompts answered before people ask them."),
    "generate": ("jobs.verbs:generate", "Ask the served model for texts; judge and store them."),
    "curate": ("jobs.curate.verbs:curate", "Approve, reject or edit what the bot may say."),
    "search": ("jobs.curate.verbs:search", "Find words in what was scraped and generated."),
    "post": ("jobs.verbs:post", "Post one random approved text."),
    "settle": ("jobs.verbs:settle", "Say whether a post in doubt is there."),
    "history": ("jobs.verbs:history", "What was posted, and where it comes from."),
    "likes": ("jobs.verbs:likes", "Read what people made of the posts."),
    "alert": ("jobs.verbs:alert", "Tell people what needs them."),
    "status": ("jobs.verbs:status", "Where the loop stands."),
    "migrate": ("jobs.verbs:migrate", "Make the tables in a Postgres server of your own."),
    "x-simulator": ("simulators.verbs:x_simulator", "A stand-in for X's API to try a bot with."),
    "mastodon-simulator": ("simulators.verbs:mastodon_simulator", "A stand-in for a server of Mastodon to post to."),
}
HIDDEN = {
    "prepare": "jobs.verbs:prepare",
    "export": "training.verbs:export",
    "ray-job": "training.verbs:ray_job",
    "exporter": "serving.verbs:exporter",
}


# What `--on kubernetes` calls instead, where another part does it.
ON_KUBERNETES = {"train": "jobs.verbs:train_on_kubernetes"}


class Verbs(click.Group):
    """Imports a verb when it is called; lists them all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _imported(_place(name)) if _place(name) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, flags = args[0], args[1:]
        if not _place(name):
            near = difflib.get_close_matches(name, VERBS, n=1)
            ctx.fail(f"no verb {name}; " + (f"did you mean {near[0]}?" if near else f"there are: {', '.join(VERBS)}."))
        if name in ON_KUBERNETES and any(flag.partition("=")[0] == "--on" for flag in flags):
            return name, _imported(ON_KUBERNETES[name]), flags
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, help) for name, (_, help) in VERBS.items()])


def _place(name: str) -> str:
    """Where a verb lives; "" where there is none of that name."""
    return VERBS[name][0] if name in VERBS else HIDDEN.get(name, "")


def _imported(place: str) -> click.Command:
    module, _, function = place.partition(":")
    command: click.Command = getattr(importlib.import_module(module), function)
    return command


@click.group(
    cls=Verbs,
    subcommand_metavar="VERB [ARGUMENTS]",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
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
      MYNAH_ENDPOINT       where the model is served (http://127.0.0.1:8080); {bot} in it is the bot's name
      MYNAH_API_KEY        what that server wants to see; `mynah serve` takes any of several, with commas (nothing)
      MYNAH_USER           who you are, beside each decision (your login name)
      MYNAH_SIGNING_KEY    signs the links in alerts, for `mynah alert` and `mynah play`: 32 characters and more
      MYNAH_ALERTS         where alerts go, as apprise has addresses: json://host, slack://…, mailto://… (nowhere)
      MYNAH_ALLOW_PRIVATE  1 lets http sources lead to private addresses; or only these hosts, with commas
      MYNAH_DATA           the only folder whose files a source may read (any regular file)
      X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET
                           the account to post to; without them, posts go to a local outbox file
      MASTODON_ACCESS_TOKEN, MASTODON_SERVER
                           the account on Mastodon to post to, and its server where the bot file names none
      BLUESKY_APP_PASSWORD, BLUESKY_HANDLE
                           the account on Bluesky to post to, and its name where the bot file has none
      X_BEARER_TOKEN       the app that reads accounts on X
      X_API_URL            another host for X's API, such as `mynah x-simulator`
      TELEGRAM_URL         another host for the pages of Telegram's channels (https://t.me)
      TELEGRAM_API_ID, TELEGRAM_API_HASH
                           of my.telegram.org, for channels that are read signed in (a source's `session`)
      TELEGRAM_SESSION     the session itself, instead of the file that `mynah scrape BOT --login` writes
      TELEGRAM_SERVER      ADDRESS:PORT to sign in at instead of Telegram's, such as its test servers
      MASTODON_URL         a server to ask for every account on Mastodon (each account's own)
      BLUESKY_URL          a server that knows Bluesky's handles (https://public.api.bsky.app)
      PLC_URL              the directory of Bluesky's accounts (https://plc.directory)

    \b
    Example:
      mynah run bots/fortune.yaml        the whole loop, once, on this machine
      mynah status fortune
    """


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
    except ModuleNotFoundError as error:
        complain(_not_installed(error))
        sys.exit(1)
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
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.OperationalError):
            raise
        complain(f"Postgres: {str(error).strip().splitlines()[0]}; check the server, then run this again")
        sys.exit(1)
    sys.exit(0)


def _not_installed(error: ModuleNotFoundError) -> str:
    """What to install for the verb that was called. Raises the error again where nothing of ours is missing."""
    name = next((word for word in sys.argv[1:] if _place(word)), "")
    part = _place(name).partition(".")[0]
    missing = (error.name or "").partition(".")[0]
    if not part or missing == "mynah" or (missing == part and (error.name or "") != part):
        raise error
    return f"`mynah {name}` needs mynah[{part}]: {missing} is not installed; pip install 'mynah[{part}]'"


def complain(message: str) -> None:
    """One line on stderr."""
    click.echo(f"mynah: {message}", err=True)
