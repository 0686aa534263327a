"""Packing, and the order in which rows are learnt."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from training.blocks import begin_with_bos, encode, pack, pack_dev, rows_of_step

documents = st.lists(st.lists(st.integers(0, 49151), min_size=2, max_size=30), max_size=20)
block_sizes = st.integers(1, 20)


@given(documents, block_sizes)
def test_every_token_is_kept_in_order_but_for_the_rest_that_fills_no_row(documents, block_size):
    stream = [token for document in documents for token in document]
    rows = pack(documents, block_size)
    assert rows.shape[1] == block_size
    assert rows.ravel().tolist() == stream[: rows.size]
    assert len(stream) - rows.size < block_size


@given(documents, block_sizes, st.integers(1, 5))
def test_dev_rows_are_at_most_so_many_and_reach_from_the_first_to_the_last(documents, block_size, most):
    rows = pack(documents, block_size)
    dev = pack_dev(documents, block_size, most)
    if len(rows):
        assert len(dev) == min(most, len(rows))
        assert dev[0].tolist() == rows[0].tolist()
        assert len(dev) == 1 or dev[-1].tolist() == rows[-1].tolist()
        assert len({id for id, row in enumerate(rows.tolist()) if row in dev.tolist()}) >= len(dev)
    else:
        assert dev.ravel().tolist() == [token for document in documents for token in document]
        assert len(dev) == (1 if documents else 0)


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
