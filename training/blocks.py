"""Texts as rows of tokens: BOS text EOS, packed side by side, and the order in which rows are learnt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer, processors

from mynah.errors import MynahError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD = -1  # where a row has no token
_TEXTS_AT_ONCE = 1000


@dataclass(frozen=True)
class Rows:
    """Packed rows. Each text, or piece of a long one, begins at position 0: nothing is seen over that border."""

    tokens: np.ndarray
    """int32 [rows, block_size]; PAD where a row has no token."""
    positions: np.ndarray
    """int32 [rows, block_size]: each token's place in its text. They go on where a row has no token."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: "slice | np.ndarray") -> "Rows":
        return Rows(self.tokens[rows], self.positions[rows])

    def count_tokens(self) -> int:
        return int((self.tokens != PAD).sum())

    def asked(self) -> np.ndarray:
        """bool [rows, block_size]: where the next token is asked for; not what begins a text, nor PAD."""
        next_ones = (self.positions[:, 1:] != 0) & (self.tokens[:, 1:] != PAD)
        return np.pad(next_ones, ((0, 0), (0, 1)))


def begin_with_bos(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Let `tokenizer` put its BOS before every text it encodes, and nothing after.

    EOS stands in for BOS in a model that has none.
    """
    tokenizer.bos_token = tokenizer.bos_token or tokenizer.eos_token
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    bos = str(tokenizer.bos_token)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B:1", special_tokens=[(bos, tokenizer.bos_token_id)]
    )


def encode(tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str]) -> Iterator[list[int]]:
    """Each text as the tokens of BOS text EOS; `tokenizer` begins with BOS (see `begin_with_bos`).

    A text that spells a special token, such as <|im_end|>, says its characters and not the token.
    """
    texts = iter(texts)
    while batch := list(islice(texts, _TEXTS_AT_ONCE)):
        for tokens in tokenizer(batch, split_special_tokens=True)["input_ids"]:
            yield [*tokens, tokenizer.eos_token_id]


def count_tokens(file: Path, texts: Iterable[str], enough: int) -> int:
    """The tokens of `texts` with BOS and EOS by the tokenizer.json `file`, counted until there are `enough`."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    texts, tokens = iter(texts), 0
    while tokens < enough and (batch := list(islice(texts, _TEXTS_AT_ONCE))):
        tokens += sum(len(encoded.ids) + 2 for encoded in tokenizer.encode_batch(batch, add_special_tokens=False))
    return tokens


def check_size(bot: str, tokens: int, block_size: int) -> None:
    """Raise MynahError where the training texts fill not even one row."""
    if tokens < block_size:
        raise MynahError(
            f"bot {bot} has {tokens} tokens to learn from, fewer than one row (train.block_size:"
            f" {block_size}): add texts or lower train.block_size"
        )


def pack(documents: Iterable[Sequence[int]], block_size: int, together: bool = True) -> Rows:
    """Whole documents side by side in rows, what stays free in a row being PAD.

    `together` is False for a model that sees over borders: then each document has rows of its own.

    A row begins where a document begins. Cut through instead, BOS would hardly ever be learnt at the very start,
    where the first token of all, whatever it is, serves a Llama as a sink of attention, and an empty prompt would be
    answered from the middle of a sentence. A document longer than a row is cut into equal pieces (no last token is left
    alone in a row, with nothing to predict). Every token is in one row.
    """
    pieces = [piece for document in documents for piece in cut(document, block_size)]
    rows: list[list[Sequence[int]]] = []
    with_room: list[list[int]] = [[] for _ in range(block_size + 1)]  # rows by how many tokens they still take
    rooms = 0  # bit n is set where with_room[n] has a row
    for piece in sorted(pieces, key=len, reverse=True):  # best fit decreasing
        fitting = rooms >> len(piece)
        if fitting and together:
            room = len(piece) + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms &= ~(1 << room)
            rows[row].append(piece)
        else:
            room, row = block_size, len(rows)
            rows.append([piece])
        left = room - len(piece)
        with_room[left].append(row)
        rooms |= 1 << left if left else 0
    tokens = np.full((len(rows), block_size), PAD, dtype=np.int32)
    positions = np.tile(np.arange(block_size, dtype=np.int32), (len(rows), 1))
    for number, row_pieces in enumerate(rows):
        begin = 0
        for place in np.random.default_rng(number).permutation(len(row_pieces)):  # else the longest would come first
            piece = row_pieces[place]
            tokens[number, begin : begin + len(piece)] = piece
            positions[number, begin:] = np.arange(block_size - begin)
            begin += len(piece)
    return Rows(tokens, positions)


def cut(document: Sequence[int], block_size: int) -> Iterator[Sequence[int]]:
    """`document` in as few pieces as fit into rows, of lengths that differ by one at most."""
    count = -(-len(document) // block_size)
    for n in range(count):
        yield document[len(document) * n // count : len(document) * (n + 1) // count]


def pack_dev(documents: Iterable[Sequence[int]], block_size: int, most: int, together: bool = True) -> Rows:
    """At most `most` packed rows of dev text, spread evenly over all of them; none without dev text."""
    rows = pack(documents, block_size, together)
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]


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
