"""A second kind of source: what it takes, and that a mistake in it is told as well as one anywhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from pydantic import Field

from mynah.bot import Bot, BotFile, FileSource, Source, load
from mynah.bot.accounts import KINDS as ACCOUNTS
from mynah.bot.chart import values_schema
from mynah.bot.kinds import Kind
from mynah.bot.reference import reference
from mynah.bot.schema import editor_schema
from mynah.bot.section import Unit
from mynah.bot.sources import KINDS as SOURCES
from mynah.errors import UsageError
from tests.kinds import added


class RadioSource(Source):
    """A radio."""

    kind: Literal["radio"]
    """What sort of source this is."""
    address: str
    """Where the radio is."""
    entries: Annotated[int, Unit("entries per reading")] = Field(default=10, ge=1)
    """Entries that are read at most."""


@pytest.fixture
def radio() -> Iterator[None]:
    with added(SOURCES, "radio", RadioSource):
        yield


def written(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(
        f"bots:\n  demo:\n    sources:\n      file: {{url: a.txt}}\n      news:\n        {source}\n", "utf-8"
    )
    return path


@pytest.mark.parametrize("kinds", [SOURCES, ACCOUNTS])
def test_a_kind_is_named_as_its_class_says(kinds: dict[str, type[Kind]]) -> None:
    for name, section in kinds.items():
        assert section.model_fields["kind"].annotation == Literal[name]
        # What is left out where it is the default could not tell two kinds apart.
        assert section.model_fields["kind"].is_required() == (name != "file")


@pytest.mark.usefixtures("radio")
def test_a_new_kind_is_read_beside_the_old(tmp_path: Path) -> None:
    bot = load(written(tmp_path, "{kind: radio, address: here}"))
    assert bot.sources == {"file": FileSource(url="a.txt"), "news": RadioSource(kind="radio", address="here")}
    assert bot.model_dump(include={"sources"}, exclude_defaults=True)["sources"] == {
        "file": {"url": "a.txt"},
        "news": {"kind": "radio", "address": "here"},
    }
    assert Bot.model_validate_json(bot.model_dump_json()) == bot


@pytest.mark.usefixtures("radio")
@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{kind: radio, adress: a}", ":6: bots.demo.sources.news.adress: unknown key; did you mean address?"),
        ("{kind: radio}", ":5: bots.demo.sources.news.address: missing"),
        ("{kind: radio, address: a, entries: 0}", ":6: bots.demo.sources.news.entries: Input should be greater"),
        ("{kind: radius, address: a}", ":6: bots.demo.sources.news.kind: unknown kind radius; did you mean radio? "),
        ("{kind: xyz}", ":6: bots.demo.sources.news.kind: unknown kind xyz; known: file, feed, telegram, radio"),
        ("{kind: file, address: a}", ":6: bots.demo.sources.news.address: unknown key; known: kind, max_texts, url"),
        ("{kynd: radio, url: a}", ":6: bots.demo.sources.news.kynd: unknown key; did you mean kind?"),
    ],
)
def test_a_mistake_in_it_has_its_place_without_the_kind(tmp_path: Path, source: str, wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, source))
    assert wanted in str(caught.value)


def test_a_mistake_in_a_source_named_as_its_kind_has_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--set .*: bots\.demo\.sources\.file\.urls: unknown key; did you mean url"):
        load(written(tmp_path, "{url: a}"), ["bots.demo.sources.file.urls=b"])


@pytest.mark.usefixtures("radio")
@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ({"url": "a"}, True),
        ({"kind": "file", "url": "a"}, True),
        ({"kind": "radio", "address": "a"}, True),
        ({"kind": "radio", "url": "a"}, False),
        ({"address": "a"}, False),
        ({"kind": "feet", "address": "a"}, False),
    ],
)
def test_the_schemas_know_it(source: dict[str, Any], fits: bool) -> None:
    bots = {"demo": {"sources": {"news": source}}}
    assert Draft7Validator(editor_schema()).is_valid({"bots": bots}) == fits
    bot_part = values_schema()["properties"]["bots"] | {"$defs": values_schema()["$defs"]}
    assert Draft7Validator(bot_part).is_valid(bots) == fits


@pytest.mark.usefixtures("radio")
def test_the_reference_has_it() -> None:
    assert "| `entries` | entries per reading, 1 or more | `10` | Entries that are read at most. |" in reference()


def test_it_is_gone_afterwards() -> None:
    with added(SOURCES, "radio", RadioSource):
        pass
    assert "radio" not in str(BotFile.model_json_schema())
