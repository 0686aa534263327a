"""A list of rows, in a text of any length."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.errors import MynahError
from scrapers import json_list
from scrapers.json_list import read_list

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
rows = st.lists(st.dictionaries(st.text(), scalars | st.lists(st.integers(), max_size=3), max_size=3), max_size=6)


def read(text: str, whole: int) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "WHOLE", whole)
        patch.setattr(json_list, "AT_ONCE", 3)
        try:
            return [*read_list(io.StringIO(text), "a.json")]
        except MynahError as error:
            return str(error).partition(":")[0]


@settings(max_examples=40)
@given(rows, st.dictionaries(st.text(), scalars, max_size=3), st.none() | st.integers(0, 3), st.booleans())
def test_a_long_one_gives_what_a_short_one_gives(
    data: list[Any], around: dict[str, Any], indent: int | None, wrapped: bool
) -> None:
    text = json.dumps({**around, "rows": data} if wrapped else data, indent=indent, ensure_ascii=False)
    assert read(text, 1) == read(text, 1 << 20) == data


@settings(max_examples=40)
@given(rows, st.data())
def test_what_is_broken_is_an_error_in_both(data: list[Any], chance: st.DataObject) -> None:
    text = json.dumps(data)
    broken = text[: chance.draw(st.integers(0, len(text) - 1))] + chance.draw(st.sampled_from(["", "]]", "x", "{"]))
    whole = read(broken, 1 << 20)
    assert read(broken, 1) == whole or not isinstance(whole, str) or broken == ""


def test_a_line_is_named_and_a_second_list_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, wanted in (
        ('[{"text": "x"},\n {"text"]' + " " * 9, r"a\.json:2: not valid JSON: Expecting ':' delimiter"),
        ('{"a": [], "b": []}', "holds no list of rows"),
        ('{"a": 1}', "holds no list of rows"),
        ("[1] 2", "Extra data"),
    ):
        monkeypatch.setattr(json_list, "WHOLE", 1)
        with pytest.raises(MynahError, match=wanted):
            list(read_list(io.StringIO(text), "a.json"))
