"""Training's verbs."""

from pathlib import Path

import click

from mynah.options import check_namespace, load, on_kubernetes, show, verb


@click.command(epilog="Example: mynah dataset fortune")
@click.option("--again", is_flag=True, help="Build it anew though nothing changed.")
@verb
def dataset(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """Clean and deduplicate what was scraped, and split off the dev texts."""
    from training.dataset import build

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "dataset"):
        show(build(loaded, settings.bucket, again), as_json)


@click.command(epilog="Example: mynah train fortune --set bots.fortune.train.max_steps=20")
@click.option("--again", is_flag=True, help="Train anew though this very model exists.")
@click.option("--detach", is_flag=True, help="In the background; `mynah logs BOT --follow` attaches to it.")
@on_kubernetes
@verb
def train(
    bot: str,
    overrides: tuple[str, ...],
    as_json: bool,
    again: bool,
    detach: bool,
    on: str | None,
    namespace: str | None,
) -> None:
    """Fine-tune the base model on the newest dataset and publish it. A killed run goes on from its checkpoint.

    With --on kubernetes, the bot file is the one that was installed there; only its name is taken from BOT.
    """
    import sys

    check_namespace(on, namespace)  # with --on, mynah.cli calls jobs.verbs:train_on_kubernetes instead
    loaded, settings = load(bot, overrides)
    if detach:
        from training import detach as background

        flags = [*(f"--set={override}" for override in overrides), *(["--again"] if again else [])]
        command = [sys.executable, "-m", "mynah", "train", bot, *flags]
        show(background.detach(loaded.name, settings, command), as_json)
        return
    from training.train import train

    with settings.alone(loaded.name, "train"):
        show(train(loaded, settings, again), as_json)


@click.command(epilog="Example: mynah prefer fortune")
@click.option("--again", is_flag=True, help="Tune it anew though this very model exists.")
@verb
def prefer(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """Tune the current model on what its curators approved, rejected and edited, and publish the result.

    It is a model like any other: `mynah promote` judges it, and lets it speak.
    """
    from training.prefer import prefer

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "prefer"):
        show(prefer(loaded, settings, again), as_json)


@click.command(epilog="Example: mynah distill fortune")
@click.option("--again", is_flag=True, help="Distill it anew though this very model exists.")
@verb
def distill(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """Teach a model of every second layer of the current one what that says, and publish it: smaller and faster.

    It is a model like any other: `mynah promote` judges it, and lets it speak.
    """
    from training.distill import distill

    loaded, settings = load(bot, overrides)
    with settings.alone(loaded.name, "distill"):
        show(distill(loaded, settings, again), as_json)


@click.command(epilog="Example: mynah evaluate fortune")
@click.argument("model", required=False, metavar="[MODEL]")
@verb
def evaluate(bot: str, overrides: tuple[str, ...], as_json: bool, model: str | None) -> None:
    """Measure MODEL (the newest) and the current model on the same dev texts, for `mynah promote` to judge by.

    A training does this by itself. It is needed again where another model has become the current one since.
    """
    from training.evaluation import evaluate

    loaded, settings = load(bot, overrides)
    show(evaluate(loaded, settings, model), as_json)


@click.command(epilog="Example: mynah compare fortune 3 4")
@verb
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN…")
def compare(bot: str, overrides: tuple[str, ...], as_json: bool, runs: tuple[str, ...]) -> None:
    """Two trainings or more side by side: a picture of their losses and learning rates, a table of their figures.

    RUN is a number or an id, as `mynah runs` lists them. Those that are still at work are taken as far as they are.
    """
    from training.compare import compare

    loaded, settings = load(bot, overrides)
    show(compare(loaded, settings, runs), as_json)


@click.command(
    epilog="Examples: mynah push fortune hf://me/fortune --dry-run · "
    "mynah push fortune hf://me/fortune 20261121T062141-0aba1d82 --public"
)
@verb
@click.argument("place", metavar="hf://OWNER/NAME")
@click.argument("model", required=False)
@click.option("--public", is_flag=True, help="Make a new repository public. By itself it is private.")
@click.option("--dry-run", is_flag=True, help="Show the card and what would be sent, and send nothing.")
def push(
    bot: str, overrides: tuple[str, ...], as_json: bool, place: str, model: str | None, public: bool, dry_run: bool
) -> None:
    """Put MODEL, or the current one, up on the Hugging Face Hub, with its card. HF_TOKEN says who you are."""
    from training.push import push

    loaded, settings = load(bot, overrides)
    show(push(loaded, settings, place, model, public, dry_run), as_json)


@click.command(hidden=True, epilog="Example: mynah export fortune 3@50 /tmp/model")
@verb
@click.argument("run", metavar="RUN[@STEP]")
@click.argument("folder", type=click.Path(path_type=Path))
def export(bot: str, overrides: tuple[str, ...], as_json: bool, run: str, folder: Path) -> None:
    """Print the model's id; write a checkpoint's to FOLDER, and nothing where it is published."""
    from training.export import export

    loaded, settings = load(bot, overrides)
    click.echo(export(loaded, settings, run, folder))


@click.command("ray-job", hidden=True, epilog="Example: mynah ray-job fortune --set bots.fortune.train.max_steps=20")
@click.option("--again", is_flag=True, help="Train anew though this very model exists.")
@verb
def ray_job(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """What a Ray cluster on Kubernetes runs: `mynah dataset`, then `mynah train`."""
    import sys

    from training.rayjob import run

    flags = [*(f"--set={override}" for override in overrides), *(["--again"] if again else [])]
    sys.exit(run(bot, flags))
