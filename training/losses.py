"""What people read of a training: the table of losses, and what the model wrote meanwhile."""

from typing import Any

MOST = 20  # rows of the table


def table(history: list[dict[str, Any]]) -> list[str]:
    """Lines of step, loss, dev loss and learning rate, at most MOST, of `history` (see `training.worker.work`).

    The loss is the mean since the line before.
    """
    steps = history[1:]
    places = sorted({round(n * len(steps) / MOST) for n in range(1, MOST + 1)} - {0})
    if measured := [row["step"] for row in steps if "dev_loss" in row]:
        places = [measured[round(n * (len(measured) - 1) / (MOST - 1))] for n in range(MOST)]
        places = sorted(set(places))
    lines = [f"{'step':>8}  {'loss':>7}  {'dev loss':>8}  learning rate"]
    if history[0].get("dev_loss") is not None:
        lines.append(f"{0:>8}  {'':>7}  {history[0]['dev_loss']:8.4f}")
    before = 0
    for place in places:
        row = history[place]
        losses = [each["loss"] for each in history[before + 1 : place + 1]]
        dev = f"{row['dev_loss']:8.4f}" if "dev_loss" in row else " " * 8
        lines.append(f"{place:>8,}  {sum(losses) / len(losses):7.4f}  {dev}  {row['learning_rate']:.2e}")
        before = place
    return lines


def samples(row: dict[str, Any]) -> list[str]:
    """Lines of what the model wrote at a step: `row` has step, and samples, each a prompt and a text."""
    begin = "the untuned model writes:" if row["step"] == 0 else f"after step {row['step']:,} it writes:"
    return [begin, *("  " + sample["text"].strip().replace("\n", "\n    ") for sample in row["samples"])]
