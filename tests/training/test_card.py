"""A model's card: the Hub's reader reads it, and it says what the manifests say."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from mynah.sampled import Sampled
from training.card import card, licence_of

MANIFEST: dict[str, Any] = {
    "id": "20261127T120000-0123abcd",
    "bot": "bird",
    "created": "2026-11-27T12:10:00Z",
    "base": "openai-community/gpt2",
    "dataset": "20261127T110000-89abcdef",
    "parameters": {"base": "openai-community/gpt2", "batch_size": 8, "price_per_hour": 2.0},
    "metrics": {
        "dev_loss_untuned": 4.034,
        "dev_loss": 3.257,
        "dev_perplexity_untuned": 56.5,
        "dev_perplexity": 26.0,
        "dev_nats_per_character_untuned": 1.177,
        "dev_nats_per_character": 0.875,
        "steps": 40,
        "train_tokens": 40469,
        "tokens_per_second": 108.4,
        "precision": "fp32",
        "worked_seconds": 549.2,
        "peak_memory_bytes": 6.9e9,
        "cost_usd": 0.5,
    },
    "versions": {"mynah": "0.3.0"},
}
DATASET: dict[str, Any] = {
    "counts": {"documents": 2610, "train": 2075, "dev": 262, "dropped": {"too few words": 83, "duplicate": 1}},
    "statistics": {
        "sources": {"fortunes": {"documents": 431, "train": 300, "dev": 40}},
        "languages": {"texts": 500, "en": 400, "unsure": 70, "fr": 30},
    },
}
SAMPLED = Sampled(
    samples=200, texts=198, recited=3, whole=1, longest=14, finished=190, distinct=197, distinct_2=0.81,
    mean_words=12.0, mean_characters=60.0, reciting=(),
)  # fmt: skip


def make(manifest: dict[str, Any] = MANIFEST, **given: Any) -> str:
    return card(manifest, DATASET, **{"description": "Sings.", "licence": "mit", **given})


def test_the_hub_reads_what_it_is() -> None:
    data = ModelCard(make()).data
    assert (data.license, data.base_model, data.language) == ("mit", "openai-community/gpt2", ["en"])
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    assert {"mynah", "text-bot"} == set(data.tags or [])
    assert data.eval_results
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        "perplexity": 26.0,
        "nats_per_character": 0.875,
    }


def test_a_person_reads_lineage_and_figures() -> None:
    text = make(plot="training.png")
    for said in (
        "# bird\n\nSings.\n",
        "| fortunes | 431 | 300 | 40 |",
        "Of 2,610 documents, 2,075 train and 262 dev texts; left out: 83 too few words, 1 duplicate.",
        "its licence: mit",
        "| on the dev texts | untuned | this model |",
        "| perplexity | 56.5 | 26.0 |",
        "40 steps; 40,469 tokens, 108 tokens/s; 9 min 9 s in all; 6.9 GB of memory at its peak; $0.50;"
        " computed in fp32.",
        "![The loss and the learning rate, by step](training.png)",
        "| `batch_size` | 8 |",
        "Not measured when this card was written",
    ):
        assert said in text
    assert "price_per_hour" not in text


def test_a_model_that_is_made_of_another_is_shown_beside_it() -> None:
    metrics = {"dev_loss_untuned": 4.0, "dev_loss_before": 3.0, "dev_loss": 3.1, "dev_perplexity": 22.2, "steps": 9}
    text = make({**MANIFEST, "parent": "20261126T000000-00000000", "method": "prefer", "metrics": metrics})
    assert "- Model: 20261127T120000-0123abcd, made of 20261126T000000-00000000 by `mynah prefer`\n" in text
    assert "| loss, nats per token | 4.000 | 3.000 | 3.100 |\n| perplexity |  |  | 22.2 |\n" in text
    assert "\n9 steps.\n" in text


def test_samples_and_recitation_are_shown_where_they_are_known() -> None:
    before = [{"prompt": "", "text": "the the"}, {"prompt": "Love is", "text": "Love is is is"}]
    after = [{"prompt": "", "text": "A *bold*\nword."}, {"prompt": "Love is", "text": "Love is blind."}]
    text = make(samples=[before, [], after], sampled=SAMPLED)
    assert "- A \\*bold\\* word.\n- **Love is** blind.\n" in text
    assert "with the same seeds:\n\n- the the\n- **Love is** is is\n" in text
    assert "Of 198 texts that it wrote, 3 recite" in text
    assert "(1 are one)" in text
    assert "14 words. 190 of 200 finished, 197 differ" in text


def test_a_folder_of_ours_is_no_name_of_the_hub(tmp_path: Path) -> None:
    for base in (str(tmp_path), "s3://bots/bird/models/20261101T000000-00000000/"):
        text = make({**MANIFEST, "base": base}, licence=None)
        assert ModelCard(text).data.base_model is None
        assert ModelCard(text).data.license is None
        assert str(tmp_path.parent) not in text
        assert "s3://" not in text
        assert "its licence: not known" in text
    bundled = ModelCard(make({**MANIFEST, "base": "smollm2-135m"})).data
    assert bundled.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_without_dev_texts_and_a_dataset_that_is_gone() -> None:
    bare = {key: value for key, value in MANIFEST["metrics"].items() if not key.startswith(("dev", "cost", "peak"))}
    nothing = dict.fromkeys(key for key in MANIFEST["metrics"] if key.startswith("dev"))
    text = card({**MANIFEST, "metrics": bare | nothing}, None, description="", licence=None)
    assert ModelCard(text).data.eval_results is None
    assert "untuned" not in text


@pytest.mark.parametrize(
    ("readme", "licence"), [("---\nlicense: mit\n---\n", "mit"), ("no front matter", None), (None, None)]
)
def test_the_licence_of_a_base_is_what_its_card_says(tmp_path: Path, readme: str | None, licence: str | None) -> None:
    if readme:
        (tmp_path / "README.md").write_text(readme)
    assert licence_of(str(tmp_path), tmp_path) == licence
    assert licence_of("smollm2-135m", tmp_path) == "apache-2.0"
