"""`make bench PART=speaking`: how fast SmolLM2-135M, and a model of GPT-2's shape, write on this machine.

The contestants (tests/bench/contestants.py) take turns: one text after the other, 20 texts of one prompt, and 16
clients at once; then throughput over concurrency, with a picture. How likely the model itself finds the texts says
whether they are as good as its own.
"""

import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mynah.bot import Generate
from tests.bench.child import Child
from tests.bench.contestants import CONTESTANTS, prepare
from training.base_model import load_base
from training.publish import write_model

TOKENS, ROUNDS = 60, int(os.environ.get("MYNAH_BENCH_ROUNDS", "3"))
PROMPTS = (
    "The man ", "Love is", "Never ", "A fool and his", "It was the", "My mother always", "In the end", "Why do",
    "The best thing about", "Nobody knows", "Today I", "If you want", "Once upon a", "People say", "There is no", "He",
)  # fmt: skip
SAMPLES, CLIENTS = 20, 16
CROWD_SECONDS = float(os.environ.get("MYNAH_BENCH_SECONDS", "60"))
SCORED = 150  # texts
CURVE, CURVE_SECONDS = (1, 2, 4, 8, 16, 32), CROWD_SECONDS / 5
OURS, EXACT = "mynah, by HTTP", "transformers fp32"
NOT_DRAWN = ("transformers bf16", "OpenVINO as it comes", "mynah, as streams")
NO_GPT2 = ("llama.cpp Q4_1", "ONNX Runtime int4")  # what has no converter for it that a package brings
PICTURE = Path("throughput.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "smollm2"
        made(folder, *load_base("smollm2-135m", Path(scratch) / "base"), also_onnx=True)
        with contestants(CONTESTANTS, folder) as children:
            compare("SmolLM2-135M", children)
            curve({name: children[name] for name in children if name not in NOT_DRAWN})
        folder = Path(scratch) / "gpt2"
        made(folder, *of_gpt2s_shape(Path(scratch) / "base"), also_onnx=False)
        with contestants([name for name in CONTESTANTS if name not in NO_GPT2], folder) as children:
            compare("GPT-2's shape, 124M, untrained", children, likelihood=False)


def made(folder: Path, model: Any, tokenizer: Any, also_onnx: bool) -> None:
    (folder / "model").mkdir(parents=True)
    write_model(model, tokenizer, folder / "model", Generate())
    (folder / "model" / "model.json").write_text('{"id": "bench", "created": "2026-01-01T00:00:00Z"}', "utf-8")
    prepare(folder, also_onnx)


def of_gpt2s_shape(cache: Path) -> tuple[Any, Any]:
    """An untrained model with GPT-2's layers, and SmolLM2's tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    _, tokenizer = load_base("smollm2-135m", cache)
    torch.manual_seed(0)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **ends)), tokenizer


@contextmanager
def contestants(names: Sequence[str] | dict[str, Any], folder: Path) -> Iterator[dict[str, Child]]:
    with ExitStack() as stack:
        children = {}
        for name in names:
            children[name] = Child("tests.bench.contestants", name, folder)
            stack.callback(children[name].end)
            children[name].do("write", prompts=["Warm"], tokens=8)
        yield children


def compare(model: str, children: dict[str, Child], likelihood: bool = True) -> None:
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        f"{len(PROMPTS)} texts, one after the other": defaultdict(list),
        f"{SAMPLES} texts of one prompt": defaultdict(list),
        f"{CLIENTS} clients, {CROWD_SECONDS:.0f} s": defaultdict(list),
    }
    one, samples, crowd = found
    for turn in range(ROUNDS):
        for name, child in children.items():
            found[one][name] += [child.do("write", prompts=[prompt], tokens=TOKENS) for prompt in PROMPTS]
            found[samples][name].append(child.do("write", prompts=[PROMPTS[turn]] * SAMPLES, tokens=TOKENS))
    for name, child in children.items():
        task = {"prompts": PROMPTS, "tokens": TOKENS, "clients": CLIENTS, "seconds": CROWD_SECONDS}
        found[crowd][name].append(child.do("crowd", **task))
    print(f"\n{model}: {TOKENS} tokens a text, {os.environ['OMP_NUM_THREADS']} threads, {ROUNDS} rounds")
    for scene, results in found.items():
        speeds = {name: tokens(told) / seconds(told) for name, told in results.items()}
        print(f"\n{scene}:")
        titles = f"{'tokens/s':>8} {'ours is':>8} {'first token p50, p95':>21} {'CPU-ms/token':>13} {'peak':>9}"
        print(f"  {'':<20} {titles}")
        for name, told in results.items():
            speed = speeds[name]
            times = sorted(time for one in told for time in one["first"])
            first = (
                f"{statistics.median(times):.3f} s {times[int(len(times) * 0.95)]:5.2f} s" if times else "with the last"
            )
            cost = sum(one["cpu"] for one in told) / tokens(told) * 1000
            peak = max(one["bytes"] for one in told) / 2**20
            print(f"  {name:<20} {speed:8.1f} {speeds[OURS] / speed:7.2f}x {first:>21} {cost:13.1f} {peak:5.0f} MiB")
    if likelihood:
        print("\nhow likely the model, in fp32, finds a token of their texts (mean, and beside its own):")
        likely = {}
        for name in children:
            texts = [text for scene in found.values() for told in scene[name] for text in told["texts"]]
            likely[name] = children[EXACT].do("likelihood", texts=texts[:SCORED])["likelihood"]
        for name, value in likely.items():
            print(f"  {name:<20} {value:.4f} {value / likely[EXACT]:7.3f}x")


def tokens(told: Sequence[dict[str, Any]]) -> int:
    return sum(one["tokens"] for one in told)


def seconds(told: Sequence[dict[str, Any]]) -> float:
    return float(sum(one["seconds"] for one in told))


def curve(children: dict[str, Child]) -> None:
    """Throughput over concurrency, on the terminal and as a picture."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    print(f"\ntokens/s of so many clients at once, {CURVE_SECONDS:.0f} s each:")
    print(f"  {'':<20}" + "".join(f"{clients:>8}" for clients in CURVE))
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    lines: dict[str, list[float]] = {name: [] for name in children}
    for clients in CURVE:
        for name, child in children.items():
            task = {"prompts": PROMPTS, "tokens": TOKENS, "clients": clients, "seconds": CURVE_SECONDS}
            told = child.do("crowd", **task)
            lines[name].append(told["tokens"] / told["seconds"])
    for name, speeds in lines.items():
        print(f"  {name:<20}" + "".join(f"{speed:8.0f}" for speed in speeds))
        axes.plot(CURVE, speeds, marker="o", label=name, linewidth=2.5 if name == OURS else 1.2)
    title = f"SmolLM2-135M, {os.environ['OMP_NUM_THREADS']} threads"
    axes.set(xscale="log", xlabel="clients at once", ylabel="tokens/s", title=title)
    axes.set_xticks(CURVE, [str(clients) for clients in CURVE])
    axes.legend(frameon=False)
    figure.savefig(PICTURE, dpi=120)
    print(f"  picture: {PICTURE}")


if __name__ == "__main__":
    main()
