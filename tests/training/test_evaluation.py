"""Nats per character, and a model measured beside the current one."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.evaluations import evaluation
from mynah.settings import Settings
from training.blocks import begin_with_bos
from training.evaluation import CHARACTERS, TEXTS, Scored, choose, evaluate, nats

CPU = torch.device("cpu")
TEXTS_OF_ALL_SORTS = [
    "A crow.",
    "The old owl forgets nothing at all.",
    "Ein Käfer?",
    "",
    "The mynah\nrepeats the news.",
]


def by_hand(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, text: str, end: bool = True) -> float:
    """The nats of one text, a token after the other."""
    tokens = [1, *tokenizer(text, add_special_tokens=False)["input_ids"], *([2] if end else [])]
    total = 0.0
    for place in range(1, len(tokens)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens[:place]])).logits[0, -1]
        total -= logits.log_softmax(-1)[tokens[place]].item()
    return total


def test_texts_are_scored_from_their_first_token_to_their_end(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
):
    begin_with_bos(tokenizer)
    expected = sum(by_hand(model, tokenizer, text) for text in TEXTS_OF_ALL_SORTS)
    scored = [Scored(text, whole=True) for text in TEXTS_OF_ALL_SORTS]
    assert nats(model, tokenizer, scored, CPU, nullcontext) == pytest.approx(expected, rel=1e-5)


def test_the_beginning_of_a_text_is_scored_without_an_end(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast):
    begin_with_bos(tokenizer)
    total = nats(model, tokenizer, [Scored("A crow hides", whole=False)], CPU, nullcontext)
    assert total == pytest.approx(by_hand(model, tokenizer, "A crow hides", end=False), rel=1e-5)


def test_a_text_beyond_the_context_is_scored_in_pieces(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast):
    begin_with_bos(tokenizer)
    model.config.max_position_embeddings = 5
    one, two = "A crow hides", " the bad joke"  # each of three tokens, and an EOS
    assert len(tokenizer(one + two)["input_ids"]) == 1 + 3 + 3
    total = nats(model, tokenizer, [Scored(one + two, whole=True)], CPU, nullcontext)
    # Seven tokens in two pieces of three and four, which each follow BOS.
    pieces = by_hand(model, tokenizer, one, end=False) + by_hand(model, tokenizer, two)
    assert total == pytest.approx(pieces, rel=1e-5)


def test_the_texts_that_are_scored_reach_over_all_and_are_cut_alike_for_every_model():
    texts = [f"{number:04}" + "x" * (CHARACTERS if number % 2 else 0) for number in range(3 * TEXTS)]
    scored = choose(texts)
    assert len(scored) == TEXTS
    assert (scored[0].text[:4], scored[-1].text[:4]) == ("0000", f"{3 * TEXTS - 1:04}")
    assert {len(one.text) for one in scored} == {4, CHARACTERS}
    assert all(one.whole == (len(one.text) == 4) for one in scored)
    assert choose(["one"]) == [Scored("one", True)]
    assert choose([]) == []


@pytest.fixture
def settings(tmp_path: Path, database_url: str, settings_of: Callable[[Bucket, Path, str], Settings]) -> Settings:
    return settings_of(Bucket(str(tmp_path / "bucket")), tmp_path / "home", database_url)


def make_current(connection: Connection, model: str) -> None:
    served.carry_out(connection, served.ask(connection, "bird", model, "a test").id)


def test_a_model_is_measured_beside_the_current_one(
    settings: Settings,
    connection: Connection,
    tiny: str,
    model: LlamaForCausalLM,
    make_bot: Callable[..., Bot],
    write_dataset: Callable[..., str],
    tmp_path: Path,
):
    bot, bucket = make_bot(), settings.bucket
    with pytest.raises(MynahError, match="bot bird has no model yet: run `mynah train bird`"):
        evaluate(bot, settings)
    dataset = write_dataset(bucket, tmp_path / "dataset")
    bucket.publish(Path(tiny), {"dataset": "gone"}, "bird", "models", "1-old")
    bucket.publish(Path(tiny), {"dataset": dataset}, "bird", "models", "2-same")
    tuned = tmp_path / "tuned"
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    model.save_pretrained(tuned)
    PreTrainedTokenizerFast.from_pretrained(tiny).save_pretrained(tuned)
    bucket.publish(tuned, {"dataset": dataset}, "bird", "models", "3-tuned")

    alone = evaluate(bot, settings)
    assert (alone.model, alone.current, alone.current_dev_nats_per_character) == ("3-tuned", None, None)
    assert "bird has no current model yet" in alone.summary()

    make_current(connection, "1-old")
    beside = evaluate(bot, settings)
    assert (beside.model, beside.current, beside.dataset) == ("3-tuned", "1-old", dataset)
    assert beside.dev_nats_per_character == alone.dev_nats_per_character
    assert beside.current_dev_nats_per_character is not None
    assert beside.current_dev_nats_per_character != beside.dev_nats_per_character
    kept = evaluation(bucket, "bird", "3-tuned", "1-old")
    assert kept is not None
    assert kept["dataset"] == dataset
    assert kept["dev_nats_per_character"] == beside.dev_nats_per_character
    assert kept["current_dev_nats_per_character"] == beside.current_dev_nats_per_character
    assert (kept["texts"], kept["characters"]) == (beside.texts, beside.characters)
    assert "torch" in kept["versions"]

    same = evaluate(bot, settings, "2-same")  # named; the very weights of the current one
    assert same.dev_nats_per_character == same.current_dev_nats_per_character

    with pytest.raises(MynahError, match="bot bird has no model 4-none"):
        evaluate(bot, settings, "4-none")
    with pytest.raises(MynahError, match="1-old was trained on dataset gone, which is not there any more"):
        evaluate(bot, settings, "1-old")
    bucket.delete("bird", "models", "1-old")
    with pytest.raises(MynahError, match="1-old, the current model, is not in .*/bird/models any more"):
        evaluate(bot, settings)
