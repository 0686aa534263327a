"""The chart's values: every reference bot is a values file, and what is wrong with one, Helm says."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

import mynah
from mynah import bot as bot_file
from mynah.bot.chart import Values, bot_defaults, values_schema

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "mynah"
BOTS = sorted((ROOT / "bots").glob("*.yaml"))


def values(**parts: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CHART / "values.yaml").read_text("utf-8")), **parts}


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
        {"bots": {"demo": {"sources": {"a": {"url": "b"}}, "serve": {"mode": "standard"}}}},
        {"bots": {"demo": {"sources": {"a": {"url": "b"}}, "accounts": {"main": {}}}}},
        {"postgres": {"kind": "sqlite"}},
        {"xsimulator": {"enabled": True}},
        {"jobs": {"cpu": "50m", "memory": "512Mi", "memroy": "1Gi"}},
    ],
)
def test_the_schema_refuses(broken: dict[str, Any]) -> None:
    assert list(Draft7Validator(values_schema()).iter_errors(values(**broken)))


ACCOUNTS = """\
# yaml-language-server: $schema=../docs/bot-file.schema.json
bots:
  demo:
    sources: {a: {url: b}}
    accounts:
      tryout: {kind: outbox}
      news: {kind: x, env: NEWS_, secret: news}
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("", "", []),
        (
            "url: b",
            "url: b, kind: xyz",
            ['bots.demo.sources.a.kind must be one of the following: "file", "feed", "telegram", '],
        ),
        ("outbox", "inbox", ['bots.demo.accounts.tryout.kind must be one of the following: "outbox", "x"']),
        ("kind: x, ", "", ["bots.demo.accounts.news: kind is required"]),
        ("env: NEWS_", "env: news", ["bots.demo.accounts.news.env: Does not match pattern"]),
        ("secret:", "secrett:", ['Property name of "secrett" does not match', '"schedule", "secret"']),
    ],
)
def test_helm_says_what_is_wrong_with_an_account_or_a_source(
    tmp_path: Path, old: str, new: str, wanted: list[str]
) -> None:
    (tmp_path / "demo.yaml").write_text(ACCOUNTS.replace(old, new, 1), "utf-8")
    command = [str(Path(sys.executable).with_name("helm")), "lint", str(CHART), "-f", str(tmp_path / "demo.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == (not wanted), done.stdout
    assert [part for part in wanted if part not in done.stdout + done.stderr] == []


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert {chart["version"], chart["appVersion"]} == {mynah.__version__}
