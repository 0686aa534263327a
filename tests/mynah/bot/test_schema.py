"""The schema for editors takes what `load` takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from mynah.bot.schema import editor_schema

BOTS = sorted((Path(__file__).parents[3] / "bots").glob("*.yaml"))
ACCOUNTS = {"main": {"kind": "x", "env": "NEWS_"}, "tryout": {"kind": "outbox", "suspend": True}}


def mistakes(**bot: Any) -> list[str]:
    found = Draft7Validator(editor_schema()).iter_errors({"bots": {"demo": {"sources": {"a": {"url": "b"}}, **bot}}})
    return [error.message for error in found]


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(editor_schema())


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_it_takes_the_shipped_bots(path: Path) -> None:
    assert not list(Draft7Validator(editor_schema()).iter_errors(yaml.safe_load(path.read_text("utf-8"))))


def test_it_takes_accounts() -> None:
    assert mistakes(accounts=ACCOUNTS) == []


@pytest.mark.parametrize(
    ("bot", "wanted"),
    [
        ({"accounts": {"main": {"schedule": "0 9 * * *"}}}, "'kind' is a required property"),
        ({"accounts": {"main": {"kind": "y"}}}, "'y' is not one of ['outbox', 'x', 'mastodon', 'bluesky']"),
        ({"accounts": {"main": {"kind": "outbox", "env": "A_"}}}, "('env' was unexpected)"),
        ({"accounts": {"Main": {"kind": "outbox"}}}, "'Main' does not match any of the regexes"),
        ({"serve": {"mode": "standard"}}, "'standard' is not one of ['own', 'pool', 'none']"),
        ({"serve": {"mod": "pool"}}, "('mod' was unexpected)"),
        ({"train": {"epochs": "many"}}, "'many' is not of type 'number'"),
    ],
)
def test_a_mistake_is_one_that_a_person_understands(bot: dict[str, Any], wanted: str) -> None:
    (message,) = mistakes(**bot)
    assert wanted in message


def test_it_explains_the_keys() -> None:
    schema = editor_schema()
    assert schema["$defs"]["Train"]["properties"]["eval_every"]["description"].startswith("Steps between two")
