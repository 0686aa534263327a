"""A model's card, README.md in its folder, as the Hugging Face Hub reads it: what it was made of, and figures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import EvalResult, ModelCardData

from mynah.bot import Bot
from mynah.progress import duration
from mynah.sampled import SPAN, Sampled
from mynah.settings import Settings
from training.base_model import SMOLLM2, base_folder
from training.model_folder import PLOT
from training.train import NOT_LEARNT

FILE = "README.md"
SHARE = 0.1  # of the texts, from which on a language is named
UPSTREAM = {SMOLLM2: "HuggingFaceTB/SmolLM2-135M-Instruct"}  # the Hub's names of bases that have names of ours
LICENCES = {SMOLLM2: "apache-2.0"}
# Of the train section, what changes nothing in the model or stands elsewhere.
ELSEWHERE = {"base", *NOT_LEARNT}


def card(
    manifest: dict[str, Any],
    dataset: dict[str, Any] | None,
    *,
    description: str,
    licence: str | None,
    samples: Sequence[Sequence[dict[str, Any]]] = (),
    sampled: Sampled | None = None,
    plot: str | None = None,
) -> str:
    """The card of the model that `manifest` describes; `dataset` is the manifest of what it learnt from, None: gone.

    `licence`: the base's. `samples`: what it wrote, with prompt and text, each time that it was asked while it learnt,
    the untuned model first. `sampled`: what was found of more texts, where it was judged already. `plot`: a picture in
    its folder.
    """
    body = "\n".join(_body(manifest, dataset, description, licence, samples, sampled, plot))
    return f"---\n{_data(manifest, dataset, licence).to_yaml()}\n---\n\n{body}"


def card_of(
    manifest: dict[str, Any],
    bot: Bot,
    settings: Settings,
    history: Sequence[dict[str, Any]],
    sampled: Sampled | None = None,
) -> str:
    """The card of a model of `bot`, from what else is known of it here; `history` is its run's."""
    return card(
        manifest,
        settings.bucket.manifest(bot.name, "datasets", manifest["dataset"]),
        description=bot.description,
        licence=licence_of(manifest["base"], settings.home / "models"),
        samples=[row["samples"] for row in history if row.get("samples")],
        sampled=sampled,
        plot=PLOT,
    )


def licence_of(base: str, cache: Path) -> str | None:
    """The licence that the card of a base model names, as the Hub writes it; None where it names none."""
    if base in LICENCES:
        return LICENCES[base]
    try:
        folder = base_folder(base, cache)
        found = huggingface_hub.ModelCard.load(folder / FILE if folder else base, ignore_metadata_errors=True)
    except Exception:  # no card, or no way to it: whatever the client raises, the licence is not known
        return None
    licence = found.data.get("license")
    return licence if isinstance(licence, str) else None


def _data(manifest: dict[str, Any], dataset: dict[str, Any] | None, licence: str | None) -> ModelCardData:
    metrics, base = manifest["metrics"], manifest["base"]
    name = UPSTREAM.get(base, base)
    known = base in UPSTREAM or ("://" not in base and not Path(base).exists())
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out-texts",
            dataset_name=f"dev texts of {manifest['dataset']}",
            metric_type=metric,
            metric_value=value,
        )
        for metric, value in (
            ("perplexity", metrics.get("dev_perplexity")),
            ("nats_per_character", metrics.get("dev_nats_per_character")),
        )
        if value is not None
    ]
    return ModelCardData(
        language=_languages(dataset),
        license=licence,
        base_model=name if known else None,
        base_model_relation="finetune" if known else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["mynah", "text-bot"],
        model_name=f"{manifest['bot']} {manifest['id']}",
        eval_results=results or None,
        metrics=["perplexity"] if results else None,
    )


def _languages(dataset: dict[str, Any] | None) -> list[str] | None:
    found = dict((dataset or {}).get("statistics", {}).get("languages", {}))
    texts = found.pop("texts", 0)
    found.pop("unsure", None)
    return [language for language, number in found.items() if number >= SHARE * texts] or None


def _body(
    manifest: dict[str, Any],
    dataset: dict[str, Any] | None,
    description: str,
    licence: str | None,
    samples: Sequence[Sequence[dict[str, Any]]],
    sampled: Sampled | None,
    plot: str | None,
) -> Iterator[str]:
    base = manifest["base"]
    if "://" in base or Path(base).is_dir():  # an address of ours says nothing to others
        base = f"{base.rstrip('/').rpartition('/')[2]} (a model folder)"
    yield f"# {manifest['bot']}\n"
    if description:
        yield f"{description}\n"
    yield f"A language model for a text bot: {base}, tuned on the bot's texts with mynah. Made {manifest['created']}.\n"
    yield "## Where it comes from\n"
    yield f"- Base model: {base}; its licence: {licence or 'not known'}"
    yield f"- Texts: dataset {manifest['dataset']}"
    yield f"- Model: {manifest['id']}" + (
        f", made of {manifest['parent']} by `mynah {manifest['method']}`" if "parent" in manifest else ""
    )
    yield f"- Made with: {', '.join(f'{name} {number}' for name, number in manifest['versions'].items())}\n"
    if dataset:
        yield from _lineage(dataset)
    yield "## Figures\n"
    yield from _figures(manifest["metrics"])
    if plot:
        yield f"![The loss and the learning rate, by step]({plot})\n"
    if samples:
        yield "## What it writes\n"
        yield from _samples(samples)
    yield "## What it recites\n"
    yield from _recites(sampled)
    yield "## How it was trained\n"
    parameters = {name: value for name, value in manifest["parameters"].items() if name not in ELSEWHERE}
    yield from _table(("key", "value"), [(f"`{name}`", _inline(value)) for name, value in parameters.items()])
    yield "## How to ask it\n"
    yield (
        "```python\n"
        "from transformers import pipeline\n\n"
        'ask = pipeline("text-generation", model="OWNER/NAME")\n'
        'print(ask("")[0]["generated_text"])\n'
        "```\n"
    )
    yield (
        "An empty prompt asks for a text from its beginning; `generation_config.json` holds the sampling that the bot"
        " uses. `openvino/` is the same model with 8-bit weights, for OpenVINO on CPUs.\n"
    )
    yield "It was made to sound like its texts. Nothing that it says was checked for being true or harmless.\n"


def _lineage(dataset: dict[str, Any]) -> Iterator[str]:
    counts, sources = dataset["counts"], dataset.get("statistics", {}).get("sources", {})
    if sources:
        rows = [
            (_inline(name), *(f"{of[key]:,}" for key in ("documents", "train", "dev"))) for name, of in sources.items()
        ]
        yield from _table(("source", "documents", "train texts", "dev texts"), rows)
    dropped = ", ".join(f"{number:,} {rule}" for rule, number in counts.get("dropped", {}).items())
    documents = f"Of {counts['documents']:,} documents, " if "documents" in counts else ""
    yield f"{documents}{counts['train']:,} train and {counts['dev']:,} dev texts; left out: {dropped or 'none'}.\n"


def _figures(m: dict[str, Any]) -> Iterator[str]:
    rows = []
    for name, key, digits in (
        ("loss, nats per token", "dev_loss", 3),
        ("perplexity", "dev_perplexity", 1),
        ("nats per character", "dev_nats_per_character", 3),
    ):
        figures = [m.get(f"{key}_untuned"), m.get(f"{key}_before"), m.get(key)]
        if figures[-1] is not None:
            rows.append((name, *("" if figure is None else f"{figure:.{digits}f}" for figure in figures)))
    if rows:
        made_of_another = any(row[2] for row in rows)
        head = ("on the dev texts", "untuned", "the model it is made of", "this model")
        kept = [0, 1, 2, 3] if made_of_another else [0, 1, 3]
        yield from _table([head[column] for column in kept], [[row[column] for column in kept] for row in rows])
    facts = [f"{m['steps']:,} steps"]
    if m.get("train_tokens"):
        facts.append(f"{m['train_tokens']:,} tokens, {m['tokens_per_second']:,.0f} tokens/s")
    if m.get("worked_seconds"):
        facts.append(f"{duration(m['worked_seconds'])} in all")
    if m.get("peak_memory_bytes"):
        facts.append(f"{m['peak_memory_bytes'] / 1e9:,.1f} GB of memory at its peak")
    if m.get("cost_usd") is not None:
        facts.append(f"${m['cost_usd']:,.2f}")
    if m.get("precision"):
        facts.append(f"computed in {m['precision']}")
    yield f"{'; '.join(facts)}.\n"


def _samples(samples: Sequence[Sequence[dict[str, Any]]]) -> Iterator[str]:
    yield from _list(samples[-1])
    if len(samples) > 1:
        yield "Before it was tuned, asked the same with the same seeds:\n"
        yield from _list(samples[0])


def _list(texts: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line per text, what was asked in bold."""
    for each in texts:
        prompt, text = each["prompt"].strip(), each["text"].strip()
        bold = f"**{_inline(prompt)}** " if prompt and text.startswith(prompt) else ""
        yield f"- {bold}{_inline(text.removeprefix(prompt) if bold else text)}"
    yield ""


def _recites(sampled: Sampled | None) -> Iterator[str]:
    if sampled is None:
        yield "Not measured when this card was written: a model is asked for samples when it is promoted.\n"
        return
    yield (
        f"Of {sampled.texts:,} texts that it wrote, {sampled.recited:,} recite: they are a training text, share {SPAN}"
        f" words in a row with one, or are near one ({sampled.whole:,} are one). The longest span that it copied has"
        f" {sampled.longest} words. {sampled.summary().capitalize()}.\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _inline(text: object) -> str:
    """Text of others as Markdown shows it, in one line."""
    folded = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in folded)
