"""Packing, and the order in which rows are learnt."""

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from training.blocks import PAD, begin_with_bos, cut, encode, pack, pack_dev, rows_of_step

# Every token its own, so that it can be told where it came from.
documents = st.lists(st.integers(2, 30), max_size=20).map(
    lambda lengths: [list(range(1000 * n, 1000 * n + length)) for n, length in enumerate(lengths)]
)
block_sizes = st.integers(1, 20)


@given(documents, block_sizes)
def test_every_token_is_in_one_row_and_rows_begin_where_documents_begin(documents, block_size):
    rows = pack(documents, block_size).tokens
    assert rows.shape[1] == block_size
    assert sorted(rows[rows != PAD].tolist()) == sorted(token for document in documents for token in document)
    too_long = {number for number, document in enumerate(documents) if len(document) > block_size}
    whole = {tuple(document) for document in documents if len(document) <= block_size}
    for row in rows.tolist():
        tokens = [token for token in row if token != PAD]
        assert row == tokens + [PAD] * (block_size - len(tokens))
        assert block_size < 3 or len(tokens) > 1  # else there is nothing to predict
        # A row is documents side by side, or pieces of longer ones, each in its order.
        for _, group in groupby(tokens, key=lambda token: token // 1000):
            piece = tuple(group)
            assert piece in whole or (piece[0] // 1000 in too_long and piece == tuple(range(piece[0], piece[-1] + 1)))


@given(documents, block_sizes)
def test_rows_are_well_filled(documents, block_size):
    rows = pack(documents, block_size)
    used = [(row != PAD).sum() for row in rows.tokens]
    # No two rows would fit into one: best fit leaves at most one row half empty.
    assert sum(2 * count <= block_size for count in used) <= 1


@given(documents, block_sizes, st.integers(1, 5))
def test_dev_rows_are_at_most_so_many_and_reach_from_the_first_to_the_last(documents, block_size, most):
    rows = pack(documents, block_size)
    dev = pack_dev(documents, block_size, most)
    assert dev.tokens.shape == dev.positions.shape == (min(most, len(rows)), block_size)
    if len(rows):
        assert dev.tokens[0].tolist() == rows.tokens[0].tolist()
        assert len(dev) == 1 or dev.tokens[-1].tolist() == rows.tokens[-1].tolist()


@given(documents, block_sizes)
def test_positions_begin_anew_with_each_text_and_nothing_is_asked_for_over_a_border(documents, block_size):
    rows = pack(documents, block_size)
    begins = {0, *(next(iter(piece)) for document in documents for piece in cut(document, block_size))}
    asked = rows.asked()
    for tokens, positions, ask in zip(rows.tokens.tolist(), rows.positions.tolist(), asked.tolist(), strict=True):
        for n, token in enumerate(tokens):
            if token != PAD:
                assert positions[n] == (0 if token in begins else positions[n - 1] + 1)
            else:
                assert positions[n] != 0
            last = n + 1 == block_size or tokens[n + 1] == PAD or tokens[n + 1] in begins
            assert ask[n] == (not last)


@given(documents, block_sizes)
def test_apart_each_row_has_one_text(documents, block_size):
    rows = pack(documents, block_size, together=False)
    assert len(rows) == sum(len(list(cut(document, block_size))) for document in documents)
    assert all(list(row) == list(range(block_size)) for row in rows.positions)
    assert rows.count_tokens() == sum(map(len, documents))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_every_epoch_learns_every_row_once_in_an_order_of_its_own(rows, batch, seed):
    steps = -(-2 * rows // batch)
    order = np.concatenate([rows_of_step(step, batch, rows, seed) for step in range(steps)])
    first, second = order[:rows].tolist(), order[rows : 2 * rows].tolist()
    assert sorted(first) == sorted(second) == list(range(rows))
    if rows > 10:
        assert first != second
        assert first != np.concatenate([rows_of_step(s, batch, rows, seed + 1) for s in range(steps)])[:rows].tolist()


def test_a_text_is_bos_text_eos_and_cannot_spell_a_special_token(tokenizer: PreTrainedTokenizerFast):
    begin_with_bos(tokenizer)
    hello, spelt = encode(tokenizer, ["Hello you", "a<|im_end|>b"])
    assert hello == [1, 19556, 346, 2]
    assert (spelt[0], spelt[-1]) == (1, 2)
    assert not {0, 1, 2} & set(spelt[1:-1])
    assert tokenizer.decode(spelt[1:-1]) == "a<|im_end|>b"
