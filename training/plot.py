"""The picture of a training run: how the loss fell, and the learning rate."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

WINDOW = 1 / 20  # of the train loss's moving average, as a share of the run


def plot(history: list[dict[str, Any]], title: str, file: Path) -> None:
    """Draw `history` (see `training.worker.work`) to the PNG `file`: loss above, learning rate below."""
    steps = [row for row in history if "loss" in row]
    dev = [row for row in history if "dev_loss" in row]
    x = [row["step"] for row in steps]
    figure, (loss, rate) = plt.subplots(
        2, 1, sharex=True, figsize=(8, 6), height_ratios=(3, 1), layout="constrained", dpi=120
    )
    loss.plot(x, [row["loss"] for row in steps], color="tab:blue", alpha=0.25, linewidth=1, label="train, each step")
    loss.plot(x, smooth([row["loss"] for row in steps]), color="tab:blue", label="train, moving average")
    if dev:
        points = [row["step"] for row in dev], [row["dev_loss"] for row in dev]
        loss.plot(*points, "o-", color="tab:orange", label="dev (step 0: the untuned model)")
        for row in (dev[0], dev[-1]):
            place = (row["step"], row["dev_loss"])
            loss.annotate(f"{row['dev_loss']:.2f}", place, xytext=(0, 8), textcoords="offset points", ha="center")
    loss.set_ylabel("cross-entropy (nats per token)")
    loss.set_title(title)
    loss.legend()
    rate.plot(x, [row["learning_rate"] for row in steps], color="tab:green")
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.set_ylim(bottom=0)
    for axes in (loss, rate):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
    plt.close(figure)


def smooth(values: list[float]) -> list[float]:
    """Exponential moving average over about a `WINDOW` of the values, corrected for its beginning at nothing."""
    keep = 1 - 1 / max(1.0, len(values) * WINDOW)
    smoothed, average = [], 0.0
    for count, value in enumerate(values, 1):
        average = keep * average + (1 - keep) * value
        smoothed.append(average / (1 - keep**count))
    return smoothed
