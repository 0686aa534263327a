"""The chart's schema and defaults are those of the code, and every reference bot is a values file of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

import mynah
from mynah import bot as bot_file
from mynah.schema import Values, bot_defaults, values_schema

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "mynah"
BOTS = sorted((ROOT / "bots").glob("*.yaml"))


def values(**parts: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CHART / "values.yaml").read_text("utf-8")), **parts}


def test_the_schema_in_the_chart_is_that_of_the_models() -> None:
    written = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert written == values_schema(), "run: python -m mynah.schema values > charts/mynah/values.schema.json"


def test_the_defaults_in_the_chart_are_those_of_the_models() -> None:
    written = yaml.safe_load((CHART / "files" / "bot-defaults.yaml").read_text("utf-8"))
    assert written == bot_defaults(), "run: python -m mynah.schema defaults > charts/mynah/files/bot-defaults.yaml"


def test_values_yaml_has_every_key_and_no_other() -> None:
    Values.model_validate(values())
    assert not list(Draft7Validator(values_schema()).iter_errors(values()))


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_a_bot_file_is_a_values_file(path: Path) -> None:
    bots = yaml.safe_load(path.read_text("utf-8"))["bots"]
    assert not list(Draft7Validator(values_schema()).iter_errors(values(bots=bots)))


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_a_bot_is_the_same_with_the_defaults_that_the_chart_fills_in(path: Path, tmp_path: Path) -> None:
    name, spec = next(iter(yaml.safe_load(path.read_text("utf-8"))["bots"].items()))
    filled = bot_defaults()
    for section, given in spec.items():
        filled[section] = {**filled[section], **given} if isinstance(filled.get(section), dict) else given
    (tmp_path / "filled.yaml").write_text(yaml.safe_dump({"bots": {name: filled}}), "utf-8")
    assert bot_file.load(tmp_path / "filled.yaml") == bot_file.load(path)


@pytest.mark.parametrize(
    "broken",
    [
        {"bots": {"Demo": {"sources": {"a": {"url": "b"}}}}},
        {"bots": {"demo": {"sources": {}}}},
        {"bots": {"demo": {"sources": {"a": {"url": "b"}}, "post": {"shcedule": "0 9 * * *"}}}},
        {"bots": {"demo": {"sources": {"a": {"url": "b"}}, "post": {"schedule": "daily"}}}},
        {"bots": {"demo": {"sources": {"a": {"url": "b"}}, "serve": {"memory": "2 GB"}}}},
        {"postgres": {"kind": "sqlite"}},
        {"xsimulator": {"enabled": True}},
        {"jobs": {"cpu": "50m", "memory": "512Mi", "memroy": "1Gi"}},
    ],
)
def test_the_schema_refuses(broken: dict[str, Any]) -> None:
    assert list(Draft7Validator(values_schema()).iter_errors(values(**broken)))


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert {chart["version"], chart["appVersion"]} == {mynah.__version__}
