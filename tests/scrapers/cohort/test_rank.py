"""Who follows the most leaders."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from scrapers.cohort.pages import FOLLOWER
from scrapers.cohort.rank import follows, rank


def name(id: int) -> str:
    """No longer than X's are."""
    return f"u{id % 10**14}"


def page(ids: list[int], **more: object) -> pa.Table:
    rows = [{"id": id, "username": name(id), "posts": 3, "protected": False, **more} for id in ids]
    return pa.Table.from_pylist(rows, FOLLOWER)


ids = st.integers(0, 40).map(lambda n: n * 2**50 + n % 3)


@given(st.lists(st.lists(st.lists(ids), max_size=3), max_size=6), st.integers(1, 50))
def test_it_is_what_counting_gives(leaders: list[list[list[int]]], most: int) -> None:
    """A leader's followers come in pages, and one may come twice."""
    counts = Counter(id for pages in leaders for id in {id for page in pages for id in page})
    expected = sorted(counts, key=lambda id: (-counts[id], id))[:most]
    batches = (follows(page(some), number) for number, pages in enumerate(leaders) for some in pages)
    with tempfile.TemporaryDirectory() as folder:
        found = rank(batches, most, Path(folder))
    assert found == [{"id": id, "username": name(id), "posts": 3, "leaders": counts[id]} for id in expected]


def test_who_cannot_be_read_or_wrote_nothing_is_left_out() -> None:
    assert not len(follows(page([1], protected=True), 0))
    assert not len(follows(page([1], posts=0), 0))
    assert np.array_equal(follows(page([1, 2]), 5)["leader"], [5, 5])
