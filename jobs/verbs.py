"""The jobs' verbs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from mynah.options import bot_name, check_namespace, load, on_kubernetes, show, verb

if TYPE_CHECKING:
    from jobs.kubernetes.client import Cluster
    from jobs.kubernetes.submit import Remote
    from jobs.place import Place
    from mynah.bot import Bot
    from mynah.database.connection import Connection
    from mynah.recitation import Copied
    from mynah.settings import Settings


@click.command(epilog="Example: mynah run bots/fortune.yaml --again train")
@click.option(
    "--again",
    type=click.Choice(["dataset", "train", "generate"]),
    help="Repeat this step and those after it, though they are done.",
)
@verb
def run(bot: str, overrides: tuple[str, ...], as_json: bool, again: str | None) -> None:
    """All of it, once, on this machine: scrape, dataset, train, promote, serve, generate, post. Skips what is done."""
    from jobs.run import run_loop
    from mynah.bot import find

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "run"):
        show(run_loop(loaded, str(find(bot, settings.bots)), overrides, settings, again), as_json)


@click.command("train")
@click.option("--again", is_flag=True)
@on_kubernetes
@verb
def train_on_kubernetes(
    bot: str, overrides: tuple[str, ...], as_json: bool, again: bool, on: str, namespace: str | None
) -> None:
    """`mynah train BOT --on kubernetes`: the bot file is the one that was installed there."""
    import os

    from jobs.kubernetes import submit
    from jobs.kubernetes.client import connect
    from mynah.settings import Settings

    user = Settings.read(os.environ).user
    show(submit.train(bot_name(bot), overrides, again, connect(namespace), user), as_json)


@click.command(
    epilog="Examples: mynah generate fortune --endpoint http://127.0.0.1:8080 · mynah generate fortune --good 100 · "
    "mynah generate fortune --prompts prompts.txt --limit 500 · mynah generate fortune --from 3@50"
)
@click.option("--endpoint", help="Where the model is served, instead of MYNAH_ENDPOINT.")
@click.option("--from", "run", metavar="RUN[@STEP]", help="Ask that training's model, or its checkpoint, instead.")
@click.option("--wake", is_flag=True, help="Ask for a server that sleeps (serve.replicas 0), and wait for it.")
@click.option("--prompts", "file", metavar="FILE", help="Prompts, one a line, instead of the bot file's.")
@click.option("--good", type=click.IntRange(1), help="Go round the prompts until so many texts break no rule.")
@click.option(
    "--limit", type=click.IntRange(1), help="The most texts that are written; with --good, 50 times as many without it."
)
@verb
def generate(
    bot: str,
    overrides: tuple[str, ...],
    as_json: bool,
    endpoint: str | None,
    run: str | None,
    wake: bool,
    file: str | None,
    good: int | None,
    limit: int | None,
) -> None:
    """Ask the served model for texts; judge and store them.

    One that was cut off is gone on with by the next that asks for the same within 12 hours. For a bot with
    `serve: {mode: none}`, a server is started for it, where no endpoint is named; for --from, always.
    """
    if run and (endpoint or wake):
        raise click.UsageError("--from starts a server of its own: leave out --endpoint and --wake")
    from jobs.answering import answering
    from jobs.earlier import serving_run
    from jobs.generate import generate, read_prompts
    from mynah.endpoint import AWAKE_WITHIN

    loaded, settings = load(bot, overrides)
    prompts = read_prompts(file, loaded.generate.samples) if file else None
    with settings.alone(loaded.name, "generate"):
        if run:
            server = serving_run(bot, loaded.name, run, overrides, settings)
        else:
            server = answering(loaded, settings, "generate", wake, endpoint)
        with server as address:
            asleep = AWAKE_WITHIN if wake else 0
            generated = generate(loaded, settings, address, asleep, prompts, good, limit)
    show(generated, as_json)


@click.command(epilog="Examples: mynah post fortune --dry-run · mynah post jokes --account news")
@click.option("--account", metavar="NAME", help="Which of the bot's accounts, where it has several.")
@click.option("--scheduled", is_flag=True, help="Only if the last time of the account's schedule has no post yet.")
@click.option("--dry-run", is_flag=True, help="Show what would be posted, and change nothing.")
@verb
def post(
    bot: str, overrides: tuple[str, ...], as_json: bool, account: str | None, scheduled: bool, dry_run: bool
) -> None:
    """Post one random approved text to an account of the bot."""
    import sys
    from datetime import UTC, datetime

    from jobs.accounts import choose, open_account
    from jobs.post import last_due, post, wait

    loaded, settings = load(bot, overrides)
    name, section = choose(loaded, account)
    slot = last_due(section, datetime.now(UTC)) if scheduled else None
    if slot:
        wait(section)
    opened = open_account(loaded, name, settings)

    def write() -> None:
        from jobs.live import write_one

        print(write_one(loaded, settings).summary(), file=sys.stderr, flush=True)

    with settings.connect() as connection:
        try:
            show(post(loaded, name, connection, opened, slot=slot, dry_run=dry_run, write=write), as_json)
        finally:
            if settings.alerts and not dry_run:
                from jobs.alert import alert_after

                alert_after(loaded, settings, connection)


@click.command(epilog="Examples: mynah alert fortune · mynah alert fortune --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be told, and tell nobody.")
@verb
def alert(bot: str, overrides: tuple[str, ...], as_json: bool, dry_run: bool) -> None:
    """Tell people what needs them, each thing once: a low stock, times that were missed, posts that need a person.

    MYNAH_ALERTS says where. `mynah post` does the same at its end.
    """
    from datetime import UTC, datetime

    from jobs.alert import alert

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        show(alert(loaded, settings, connection, datetime.now(UTC), dry_run), as_json)


@click.command(
    epilog="Examples: mynah settle fortune 12 not-there · mynah settle fortune 12 there --url https://x.com/me/status/1"
)
@verb
@click.argument("tweet", type=click.IntRange(1))
@click.argument("what", type=click.Choice(["there", "not-there"]))
@click.option("--account", metavar="NAME", help="Which of the bot's accounts, where it has several.")
@click.option("--url", help="Where it is, for `there`.")
def settle(
    bot: str, overrides: tuple[str, ...], as_json: bool, tweet: int, what: str, account: str | None, url: str | None
) -> None:
    """Say what became of a post in doubt, after a look at the account: TWEET is there, or it is not.

    `mynah status` names the posts in doubt. Most are settled by themselves, by the next post.
    """
    from jobs.accounts import choose
    from jobs.settle import decide

    loaded, settings = load(bot, overrides)
    name, _ = choose(loaded, account)
    with settings.connect() as connection:
        show(decide(connection, loaded.name, name, tweet, what == "there", url), as_json)


@click.command(epilog="Examples: mynah history fortune · mynah history fortune 12 · mynah history jokes --account news")
@verb
@click.argument("tweet", type=click.IntRange(1), required=False)
@click.option("--account", metavar="NAME", help="Only posts on this account.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
def history(
    bot: str, overrides: tuple[str, ...], as_json: bool, tweet: int | None, account: str | None, limit: int
) -> None:
    """What the bot has posted, where, what people made of it, and where it comes from: model, dataset, sources.

    With TWEET, everything about that one.
    """
    from jobs.accounts import choose
    from jobs.history import history

    loaded, settings = load(bot, overrides)
    name = choose(loaded, account)[0] if account else None
    with settings.connect() as connection:
        show(history(loaded.name, settings.bucket, connection, tweet, name, limit), as_json)


@click.command(epilog="Examples: mynah likes fortune · mynah likes jokes --account news")
@verb
@click.option("--account", metavar="NAME", help="Which of the bot's accounts, where it has several.")
def likes(bot: str, overrides: tuple[str, ...], as_json: bool, account: str | None) -> None:
    """Read what people made of the posts of the last days (likes_days): likes, reposts, replies.

    The first `mynah post` of a day does it by itself.
    """
    from jobs.accounts import choose, open_account
    from jobs.react import read_reactions

    loaded, settings = load(bot, overrides)
    name, section = choose(loaded, account)
    opened = open_account(loaded, name, settings)
    with settings.connect() as connection:
        read = read_reactions(loaded.name, name, connection, opened, section, note=lambda line: None)
    show(read, as_json)


@click.command(
    epilog="Examples: mynah promote fortune · mynah promote fortune 20261121T062141-0aba1d82 · "
    "mynah promote fortune --on kubernetes"
)
@click.option(
    "--force", is_flag=True, help="Promote it though its dev loss is no better or not compared, or it recites."
)
@on_kubernetes
@verb
@click.argument("model", required=False)
def promote(
    bot: str,
    overrides: tuple[str, ...],
    as_json: bool,
    force: bool,
    on: str | None,
    namespace: str | None,
    model: str | None,
) -> None:
    """Judge MODEL (or the newest), and make it the bot's current one if it is good.

    It is asked on a server of its own: whether it errs, how fast it is, and how much of what it was trained on it
    recites. The current model stays where the new one is no good.
    """
    from jobs.promote import promote
    from mynah.trained_on import copied_from

    cluster = _cluster(on, namespace)
    if cluster and not cluster.inside:
        arguments = [*([model] if model else []), *(["--force"] if force else [])]
        show(_submit(cluster, "promote", bot, overrides, arguments), as_json)
        return
    with _place(bot, overrides, cluster) as (loaded, settings, connection, place):

        def copied(model: str) -> "Copied":
            return copied_from(settings, loaded.name, model)

        show(promote(loaded, settings.bucket, connection, place, model, force, copied), as_json)


@click.command(epilog="Examples: mynah rollback fortune · mynah rollback fortune --on kubernetes")
@on_kubernetes
@verb
def rollback(bot: str, overrides: tuple[str, ...], as_json: bool, on: str | None, namespace: str | None) -> None:
    """Make the model current again that was before this one. This one counts as refused."""
    from jobs.promote import rollback

    cluster = _cluster(on, namespace)
    if cluster and not cluster.inside:
        show(_submit(cluster, "rollback", bot, overrides, []), as_json)
        return
    with _place(bot, overrides, cluster) as (loaded, settings, connection, place):
        show(rollback(loaded, settings.bucket, connection, place), as_json)


def _cluster(on: str | None, namespace: str | None) -> "Cluster | None":
    """The cluster that --on means; None for this machine."""
    check_namespace(on, namespace)
    if on is None:
        return None
    from jobs.kubernetes.client import connect

    return connect(namespace)


def _submit(cluster: "Cluster", verb: str, bot: str, overrides: tuple[str, ...], arguments: list[str]) -> "Remote":
    """Let a Job of the chart run the verb."""
    import os

    from jobs.kubernetes import submit
    from mynah.settings import Settings

    name = bot_name(bot)
    flags = ["--on", "kubernetes", *(f"--set={override}" for override in overrides)]
    return submit.promote(name, [verb, name, *arguments, *flags], cluster, Settings.read(os.environ).user)


@contextmanager
def _place(
    bot: str, overrides: tuple[str, ...], cluster: "Cluster | None"
) -> "Iterator[tuple[Bot, Settings, Connection, Place]]":
    """The bot, and where its model is served: in the cluster, or on this machine."""
    from jobs.place import Pool, ThisMachine
    from mynah.database.wanted import wanted

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection, ExitStack() as server:
        place: Place = ThisMachine(connection, loaded.name, settings.api_keys)
        if cluster and loaded.serve.mode != "own":
            place = Pool(connection, loaded.name, settings.endpoint_of(loaded.name), settings.api_keys)
        elif cluster:
            from jobs.kubernetes.rollout import InferenceService

            if loaded.serve.sleeps:  # it is asked, and seen to come up with the new model
                server.enter_context(wanted(settings.connect, loaded.name, "promote"))
            place = InferenceService(cluster, loaded, settings.bucket, settings.api_keys)
        yield loaded, settings, connection, place


@click.command(epilog="Example: mynah runs fortune")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many are shown.")
@verb
def runs(bot: str, overrides: tuple[str, ...], as_json: bool, limit: int) -> None:
    """The bot's trainings, the newest first, wherever they run: number, state, losses, time, cost."""
    from jobs.runs import list_runs

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        show(list_runs(connection, loaded.name, limit), as_json)


@click.command(epilog="Examples: mynah logs fortune · mynah logs fortune 3 --follow")
@verb
@click.argument("run", required=False)
@click.option("--follow", is_flag=True, help="Go on until the run ends. Ctrl-C detaches, and the run goes on.")
def logs(bot: str, overrides: tuple[str, ...], as_json: bool, run: str | None, follow: bool) -> None:
    """What a training said, on this machine or another. RUN is its number or id; without it, the newest.

    --json prints a JSON object per line.
    """
    import json
    import sys

    from jobs import runs

    loaded, settings = load(bot, overrides)
    try:
        for line in runs.follow(settings, loaded.name, run, follow):
            said = {"at": line.at.isoformat(), "line": line.line}
            print(json.dumps(said, ensure_ascii=False) if as_json else line.line, flush=True)
    except KeyboardInterrupt:
        print(f"detached, and the run goes on: `mynah logs {loaded.name} --follow` attaches again", file=sys.stderr)


@click.command(epilog="Examples: mynah stop fortune · mynah stop fortune 3")
@verb
@click.argument("run", required=False)
def stop(bot: str, overrides: tuple[str, ...], as_json: bool, run: str | None) -> None:
    """Stop a training, on this machine or another. RUN is its number or id; without it, the newest.

    Its last checkpoint is kept, and the same verb that began it goes on from there.
    """
    from jobs.runs import stop

    loaded, settings = load(bot, overrides)
    show(stop(settings, loaded.name, run), as_json)


@click.command(epilog="Example: mynah prune fortune --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would go, and why the rest stays; delete nothing.")
@verb
def prune(bot: str, overrides: tuple[str, ...], as_json: bool, dry_run: bool) -> None:
    """Delete the models, datasets and checkpoints that nothing needs any more.

    Kept are the train.keep_models newest, the best, the current one, the one before, those that serve.model names or
    whose texts are known, what a training works with, and the datasets of all these.
    """
    from jobs.prune import prune

    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        show(prune(loaded, settings.bucket, connection, dry_run), as_json)


@click.command(epilog="Example: mynah status fortune")
@click.option("--endpoint", help="Where the model is served, instead of MYNAH_ENDPOINT.")
@verb
def status(bot: str, overrides: tuple[str, ...], as_json: bool, endpoint: str | None) -> None:
    """Where the loop stands: models, what serves, texts by state, last and next post per account."""
    from datetime import UTC, datetime

    from jobs.status import status

    loaded, settings = load(bot, overrides)
    show(status(loaded, settings, endpoint or settings.endpoint_of(loaded.name), datetime.now(UTC)), as_json)


@click.command(epilog="Example: DATABASE_URL=postgresql://… mynah migrate")
def migrate() -> None:
    """Make the tables in a Postgres server of your own; what is there already stays.

    The embedded server needs none of it, and on a cluster the chart's prepare job does it.
    """
    import os

    from jobs.prepare import migrate
    from mynah.settings import Settings

    click.echo(migrate(Settings.read(os.environ)))


@click.command(hidden=True, epilog="Example: mynah prepare fortune jokes=20261121T062141-0aba1d82")
@click.argument("bots", nargs=-1, metavar="BOT[=MODEL]…")
def prepare(bots: tuple[str, ...]) -> None:
    """What must be there before a cluster's pods: the tables, and a folder that says "no model yet" for each bot.

    MODEL is the one that serve.model names in the values: it is noted as the bot's current one.
    """
    import os

    from jobs.prepare import prepare
    from mynah.settings import Settings

    click.echo(prepare(Settings.read(os.environ), bots))
