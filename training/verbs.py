"""Training's verbs."""

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
@on_kubernetes
@verb
def train(
    bot: str, overrides: tuple[str, ...], as_json: bool, again: bool, on: str | None, namespace: str | None
) -> None:
    """Fine-tune the base model on the newest dataset and publish it. A killed run goes on from its checkpoint.

    With --on kubernetes, the bot file is the one that was installed there; only its name is taken from BOT.
    """
    from training.train import train

    check_namespace(on, namespace)  # with --on, mynah.cli calls jobs.verbs:train_on_kubernetes instead
    loaded, settings = load(bot, overrides)
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


@click.command("ray-job", hidden=True, epilog="Example: mynah ray-job fortune --set bots.fortune.train.max_steps=20")
@click.option("--again", is_flag=True, help="Train anew though this very model exists.")
@verb
def ray_job(bot: str, overrides: tuple[str, ...], as_json: bool, again: bool) -> None:
    """What a Ray cluster on Kubernetes runs: `mynah dataset`, then `mynah train`."""
    import sys

    from training.rayjob import run

    flags = [*(f"--set={override}" for override in overrides), *(["--again"] if again else [])]
    sys.exit(run(bot, flags))
