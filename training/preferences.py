"""What is learnt from decisions: the likelihood of texts, and the losses KTO and DPO on how it changes.

KTO: Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization". DPO: Rafailov et al. 2023,
"Direct Preference Optimization". Both compare the model with what it was before, the reference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, logsigmoid

from training.blocks import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Row:
    """A text as tokens, BOS first and EOS last; the first `given` tokens are the prompt's, and not learnt."""

    tokens: tuple[int, ...]
    given: int


def row_of(tokenizer: "PreTrainedTokenizerFast", prompt: str, text: str, most: int) -> Row:
    """The first `most` tokens of a text. `tokenizer` begins with BOS.

    A token that has parts of both the prompt and what follows is learnt.
    """
    (tokens,), (asked,) = encode(tokenizer, [text]), encode(tokenizer, [prompt] if text.startswith(prompt) else [""])
    same = next((place for place, (a, b) in enumerate(zip(tokens, asked, strict=False)) if a != b), len(asked))
    return Row(tuple(tokens[:most]), max(1, min(same, len(asked) - 1)))


def rows_of(tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str], most: int) -> list[Row]:
    """Texts without prompts, each cut after `most` tokens."""
    return [Row(tuple(tokens[:most]), 1) for tokens in encode(tokenizer, texts)]


@dataclass(frozen=True)
class Asked:
    """What a model says at every token of some rows that is to be learnt."""

    logits: torch.Tensor
    """float32 [tokens, vocabulary]."""
    targets: torch.Tensor
    """int64 [tokens]: the tokens that come."""
    rows: torch.Tensor
    """int64 [tokens]: of which row each is."""


def ask(model: "PreTrainedModel", rows: Sequence[Row], device: torch.device) -> Asked:
    """Run `model` on rows, each by itself."""
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)  # what fills a row up comes last: nobody sees it
    asked = torch.zeros(len(rows), longest, dtype=torch.bool)  # where the next token is asked for
    for place, row in enumerate(rows):
        tokens[place, : len(row.tokens)] = torch.tensor(row.tokens)
        asked[place, row.given - 1 : len(row.tokens) - 1] = True
    where = asked.flatten().nonzero()[:, 0].to(device)
    tokens = tokens.to(device)

    def only_asked(_: torch.nn.Module, hidden: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (hidden[0].flatten(0, 1)[where][None],)

    # The last layer computes logits only where they are needed: most of a small model's work.
    hook = model.get_output_embeddings().register_forward_pre_hook(only_asked)
    try:
        logits = model(input_ids=tokens, use_cache=False).logits[0]
    finally:
        hook.remove()
    return Asked(logits.float(), tokens.flatten()[where + 1], where // longest)


def log_likelihoods(model: "PreTrainedModel", rows: Sequence[Row], device: torch.device) -> torch.Tensor:
    """How likely the model finds each of `rows` after its prompt: nats, summed over its tokens; float32 [rows]."""
    asked = ask(model, rows, device)
    nats = cross_entropy(asked.logits, asked.targets, reduction="none")
    return -torch.zeros(len(rows), device=device).index_add(0, asked.rows, nats)


def kto(approved: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """The loss of each text, [approved + rejected], from the log of how much likelier each is than it was.

    Both are measured from how far the model has moved as a whole: the mean of these, and no less than 0. (The paper
    takes it of texts of other prompts; a bot has few prompts, so these are as good.)
    """
    moved = torch.cat([approved, rejected]).detach().mean().clamp(min=0)
    return torch.cat([1 - torch.sigmoid(beta * (approved - moved)), 1 - torch.sigmoid(beta * (moved - rejected))])


def dpo(better: torch.Tensor, worse: torch.Tensor, beta: float) -> torch.Tensor:
    """The loss of each pair, from the log of how much likelier each text is than it was."""
    return -logsigmoid(beta * (better - worse))
