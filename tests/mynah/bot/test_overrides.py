"""--set, as Helm reads it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot.overrides import apply_set
from mynah.errors import UsageError


def after(override: str, data: Any | None = None) -> Any:
    data = {} if data is None else data
    apply_set(data, override)
    return data


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a=true,b=false,c=x", {"a": True, "b": False, "c": "x"}),
        ("a=0.5", {"a": "0.5"}),
        ("a=007", {"a": "007"}),
        ("a=", {"a": ""}),
        ("a={x,y}", {"a": ["x", "y"]}),
        ("a={}", {"a": []}),
        ("a[0].b=1,a[1].b=2", {"a": [{"b": 1}, {"b": 2}]}),
        (r"a\.b=1", {"a.b": 1}),
        (r"a=x\,y", {"a": "x,y"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_helm_syntax(override: str, wanted: Any) -> None:
    assert after(override) == wanted


def test_null_removes_a_key() -> None:
    assert after("a.b=null", {"a": {"b": 1, "c": 2}}) == {"a": {"c": 2}}


@pytest.mark.parametrize("override", ["a", "=1", "a..b=1", "a[2]=1", "a[x]=1"])
def test_what_helm_refuses_is_refused_in_one_line(override: str) -> None:
    with pytest.raises(UsageError) as caught:
        after(override)
    assert f"--set {override}" in str(caught.value)


def test_a_path_through_a_scalar_is_refused() -> None:
    with pytest.raises(UsageError, match="does not lie in a map"):
        after("a.b=1", {"a": 5})


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.integers(-(10**9), 10**9), min_size=1))
def test_whole_numbers_come_through(values: dict[str, int]) -> None:
    assert after(",".join(f"x.{key}={value}" for key, value in values.items())) == {"x": values}


@given(st.text(min_size=1))
def test_any_escaped_text_comes_through(text: str) -> None:
    escaped = "".join(f"\\{character}" if character in ",\\{}" else character for character in text)
    value = after(f"a={escaped}").get("a")
    assert value is None or str(value).lower() == text.lower() or value == text


@pytest.mark.parametrize("override", ["a.b=1,c=x", "a={x,1}", "a[0].b=true", r"a\.b=1", "a=1.5", "a=012"])
def test_agrees_with_helm(override: str, tmp_path: Any) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0\n")
    (tmp_path / "templates/v.yaml").write_text("v: {{ omit .Values `global` | toJson | squote }}\n")
    helm = Path(sys.executable).with_name("helm")
    command = [str(helm), "template", "x", str(tmp_path), "--set", override]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(shown.split("v: ", 1)[1].strip()[1:-1]) == after(override)
