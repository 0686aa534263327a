"""The picture of a training run: how the loss fell, and the learning rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

WINDOW = 1 / 20  # of the train loss's moving average, as a share of the run


def plot(history: list[dict[str, Any]], title: str, file: Path) -> None:
    """Draw `history` (see `training.worker.work`) to the PNG `file`: loss above, learning rate below."""
    with _panels(title, file) as (loss, rate):
        x, losses = _of(history, "loss")
        loss.plot(x, losses, color="tab:blue", alpha=0.25, linewidth=1, label="train, each step")
        loss.plot(x, smooth(losses), color="tab:blue", label="train, moving average")
        x, losses = _of(history, "dev_loss")
        if x:
            loss.plot(x, losses, "o-", color="tab:orange", label="dev (step 0: the untuned model)")
            for place in ((x[0], losses[0]), (x[-1], losses[-1])):
                loss.annotate(f"{place[1]:.2f}", place, xytext=(0, 8), textcoords="offset points", ha="center")
        rate.plot(*_of(history, "learning_rate"), color="tab:green")


def plot_beside(histories: dict[str, list[dict[str, Any]]], title: str, file: Path) -> None:
    """Draw several runs' histories, by name, into one picture like `plot`'s: a colour per run."""
    with _panels(title, file) as (loss, rate):
        for number, (name, history) in enumerate(histories.items()):
            color = f"C{number}"
            x, losses = _of(history, "loss")
            loss.plot(x, smooth(losses), color=color, alpha=0.5, label=f"{name}, train")
            loss.plot(*_of(history, "dev_loss"), "o-", color=color, label=f"{name}, dev")
            rate.plot(*_of(history, "learning_rate"), color=color)


@contextmanager
def _panels(title: str, file: Path) -> Iterator[tuple[Any, Any]]:
    """A panel for the loss and one for the learning rate, both by step, to draw into; saved as the PNG `file`."""
    figure, (loss, rate) = plt.subplots(
        2, 1, sharex=True, figsize=(8, 6), height_ratios=(3, 1), layout="constrained", dpi=120
    )
    yield loss, rate
    loss.set_ylabel("cross-entropy (nats per token)")
    loss.set_title(title)
    loss.legend()
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.set_ylim(bottom=0)
    for axes in (loss, rate):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
    plt.close(figure)


def _of(history: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """The steps that have the figure `key`, and the figure."""
    rows = [row for row in history if key in row]
    return [row["step"] for row in rows], [row[key] for row in rows]


def smooth(values: list[float]) -> list[float]:
    """Exponential moving average over about a `WINDOW` of the values, corrected for its beginning at nothing."""
    keep = 1 - 1 / max(1.0, len(values) * WINDOW)
    smoothed, average = [], 0.0
    for count, value in enumerate(values, 1):
        average = keep * average + (1 - keep) * value
        smoothed.append(average / (1 - keep**count))
    return smoothed
