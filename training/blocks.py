"""Texts as rows of tokens: BOS text EOS, packed end to end, and the order in which rows are learnt."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

_TEXTS_AT_ONCE = 1000


def begin_with_bos(tokenizer: PreTrainedTokenizerFast) -> None:
    """Let `tokenizer` put its BOS before every text it encodes, and nothing after.

    EOS stands in for BOS in a model that has none. The chat template goes: a server would wrap a prompt in it,
    and a model tuned on plain texts has not learnt to answer in it.
    """
    tokenizer.bos_token = tokenizer.bos_token or tokenizer.eos_token
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.chat_template = None
    bos = str(tokenizer.bos_token)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B:1", special_tokens=[(bos, tokenizer.bos_token_id)]
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> Iterator[list[int]]:
    """Each text as the tokens of BOS text EOS; `tokenizer` begins with BOS (see `begin_with_bos`).

    A text that spells a special token, such as <|im_end|>, says its characters and not the token.
    """
    texts = iter(texts)
    while batch := list(islice(texts, _TEXTS_AT_ONCE)):
        for tokens in tokenizer(batch, split_special_tokens=True)["input_ids"]:
            yield [*tokens, tokenizer.eos_token_id]


def pack(documents: Iterable[Sequence[int]], block_size: int) -> np.ndarray:
    """Documents end to end, cut into rows: int32 [rows, block_size]. The rest that fills no row is left out."""
    tokens = np.fromiter((token for document in documents for token in document), dtype=np.int32)
    rows = len(tokens) // block_size
    return tokens[: rows * block_size].reshape(rows, block_size)


def pack_dev(documents: Iterable[Sequence[int]], block_size: int, most: int) -> np.ndarray:
    """At most `most` rows of dev text, spread evenly over all of it; where it fills no row, one shorter row.

    [0, 0] where there is no dev text.
    """
    tokens = np.fromiter((token for document in documents for token in document), dtype=np.int32)
    if len(tokens) < block_size:
        return tokens[None, :] if len(tokens) else tokens.reshape(0, 0)
    blocks = pack([tokens], block_size)
    return blocks[np.linspace(0, len(blocks) - 1, min(most, len(blocks))).round().astype(int)]


def rows_of_step(step: int, batch: int, rows: int, seed: int) -> np.ndarray:
    """Which of `rows` rows the step `step` (from 0) learns: int [batch].

    Epochs follow each other without a gap, each in an order of its own. It depends on nothing but the arguments,
    so that a resumed run sees what an uninterrupted one would have seen.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    return np.array([_order(int(place) // rows, rows, seed)[place % rows] for place in places])


@lru_cache(maxsize=2)
def _order(epoch: int, rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(rows)
