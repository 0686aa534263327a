"""The likelihood of texts, and the losses on how it changes."""

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training.blocks import begin_with_bos
from training.preferences import Row, dpo, kto, log_likelihoods, row_of, rows_of

CPU = torch.device("cpu")


def test_a_prompt_is_given_and_not_learnt(tokenizer: PreTrainedTokenizerFast) -> None:
    begin_with_bos(tokenizer)
    text = "The cat sat."
    tokens = (*tokenizer(text)["input_ids"], tokenizer.eos_token_id)
    assert row_of(tokenizer, "", text, 99) == Row(tokens, 1)
    assert row_of(tokenizer, "The cat", text, 99) == Row(tokens, 3)
    assert row_of(tokenizer, "The ca", text, 99) == Row(tokens, 2)  # “ cat” is one token, half of it the prompt's
    assert row_of(tokenizer, "A dog", text, 99) == Row(tokens, 1)  # edited away
    assert row_of(tokenizer, "", text, 4) == Row(tokens[:4], 1)
    assert rows_of(tokenizer, [text], 99) == [Row(tokens, 1)]


def test_the_likelihood_of_each_text_is_that_of_the_text_alone(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    begin_with_bos(tokenizer)
    rows = [
        row_of(tokenizer, prompt, text, 99)
        for prompt, text in [("The", "The cat sat."), ("", "A dog of mine."), ("", "No")]
    ]
    alone = []
    for row in rows:
        logs = model(input_ids=torch.tensor([row.tokens])).logits.log_softmax(-1)[0]
        alone.append(sum(logs[place - 1, row.tokens[place]].item() for place in range(row.given, len(row.tokens))))
    assert log_likelihoods(model, rows, CPU).tolist() == pytest.approx(alone, rel=1e-5)


def test_the_losses_are_those_of_trl() -> None:
    """The numbers are what trl 1.16.0's KTOTrainer computes of the same likelihoods, and its DPOTrainer's formula."""
    approved, rejected = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.25, 3.0])
    assert kto(approved, rejected, 0.5).tolist() == pytest.approx(
        [0.556014, 0.726115, 0.371684, 0.413382, 0.735945], abs=1e-6
    )
    assert kto(approved - 9, rejected - 9, 0.5).tolist() == pytest.approx(
        [0.985936, 0.993307, 0.970688, 0.012432, 0.047426], abs=1e-6
    )
    assert dpo(approved[:2], rejected, 0.3).tolist() == pytest.approx([0.656350, 1.463282], abs=1e-6)
