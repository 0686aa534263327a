"""What changed from one cursor to the next."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mynah.bucket import Bucket
from mynah.document import Document
from scrapers.cursor import difference, merged
from scrapers.raw import Raw

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
CURSORS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(CURSORS, CURSORS)
def test_a_patch_makes_the_one_of_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = difference(old, new)
    if patch is not None:
        assert merged(old, json.loads(json.dumps(patch))) == new
    if "None" not in str(new) and "{}" not in str(new):
        assert patch is not None
    assert difference(new, new) == {}


def test_pages_of_a_long_cursor_are_together_not_much_longer_than_it(tmp_path: Path) -> None:
    """Three hundred accounts, a page each: with a whole cursor in every page they would be 300 times as long as one."""
    bucket = Bucket(f"file://{tmp_path}")
    accounts = {f"account{n}": {"id": n + 10**17} for n in range(300)}
    raw = Raw(bucket, "demo", "birds", "x")
    for n in range(300):
        accounts = {**accounts, f"account{n}": {**accounts[f"account{n}"], "through": n + 10**18}}
        cursor = {"accounts": accounts, "next": f"account{n}"}
        raw.write([Document(id=str(n), text="x")], cursor)
        if n % 97 == 0:
            assert Raw(bucket, "demo", "birds", "x").cursor() == cursor
            raw.write([], {**cursor, "note": n})  # where no document came, it is kept elsewhere
            assert Raw(bucket, "demo", "birds", "x").cursor() == {**cursor, "note": n}
    assert Raw(bucket, "demo", "birds", "x").cursor() == cursor
    length = sum(len(bucket.read("demo", "raw", "birds", page)) for page in bucket.names("demo", "raw", "birds"))
    assert length < 30 * len(json.dumps(cursor))
