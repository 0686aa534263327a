"""The whole bot: its accounts, and what every key of it must have."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import pytest

from mynah.bot import Bot, BotSpec, Clean, FileSource, OutboxAccount, Post, Section, Train, XAccount, load
from mynah.bot.accounts import KINDS as ACCOUNTS
from mynah.bot.section import Unit
from mynah.bot.sources import KINDS as SOURCES
from mynah.errors import UsageError

GOOD = """\
bots:
  demo:
    sources:
      quotes: {url: quotes.txt}
    accounts:
      tryout: {kind: outbox, schedule: "0 * * * *"}
      news: {kind: x, env: NEWS_, secret: news}
"""


def bot_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(text, "utf-8")
    return path


def test_accounts_by_name(tmp_path: Path) -> None:
    assert load(bot_file(tmp_path, GOOD)).accounts_by_name() == {
        "tryout": OutboxAccount(kind="outbox", schedule="0 * * * *"),
        "news": XAccount(kind="x", env="NEWS_", secret="news"),
    }


@pytest.mark.parametrize("given", ["", "    accounts: {}\n"])
def test_post_is_the_short_form_of_one_account(tmp_path: Path, given: str) -> None:
    short = GOOD.split("    accounts:")[0] + given
    assert load(bot_file(tmp_path, short)).accounts_by_name() == {"main": Post()}
    assert load(bot_file(tmp_path, short + "    post: {suspend: true}\n")).accounts_by_name() == {
        "main": Post(suspend=True)
    }


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("kind: outbox, ", "", ":6: bots.demo.accounts.tryout.kind: missing; known: outbox, x"),
        ("kind: outbox", "kind: outbx", ":6: bots.demo.accounts.tryout.kind: unknown kind outbx; did you mean outbox?"),
        ("secret: news", "secrett: news", ":7: bots.demo.accounts.news.secrett: unknown key; did you mean secret?"),
        ("kind: outbox", "kind: outbox, env: A_", ":6: bots.demo.accounts.tryout.env: unknown key; known: kind, sch"),
        ("0 * * * *", "hourly", ":6: bots.demo.accounts.tryout.schedule: not a cron expression"),
        ("NEWS_", "news", ":7: bots.demo.accounts.news.env: not the beginning of variables' names"),
        ("news:", "News:", ":7: bots.demo.accounts.News: not a name"),
        ("kind: outbox", "kind: x, env: NEWS_", ":7: bots.demo.accounts.news.env: the same as that of tryout"),
        ("    accounts:", "    post: {}\n    accounts:", ":5: bots.demo.post: stands beside accounts: keep one of"),
    ],
)
def test_a_mistake_in_them_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load(bot_file(tmp_path, GOOD.replace(old, new, 1)))
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bot_has_one_account_on_telegram(tmp_path: Path) -> None:
    sources = ", ".join(f"{n}: {{kind: telegram, channel: bugurt, session: s, secret: {n}}}" for n in ("a", "b"))
    with pytest.raises(UsageError, match=r":1: bots\.demo\.sources\.b\.secret: another than a: a bot has one account"):
        load(bot_file(tmp_path, f"bots: {{demo: {{sources: {{{sources}}}}}}}"))


def test_an_account_has_the_defaults_of_post() -> None:
    """The chart fills in an account's schedule from the defaults of `post`."""
    shared = {"schedule", "time_zone", "suspend"}
    for kind, account in ACCOUNTS.items():
        assert account.model_validate({"kind": kind}).model_dump(include=shared) == Post().model_dump(include=shared)


@pytest.mark.parametrize(("given", "fewest", "most"), [("2", 2, 2), ("[1, 4]", 1, 4)])
def test_workers_are_a_number_or_the_fewest_and_the_most(tmp_path: Path, given: str, fewest: int, most: int) -> None:
    train = load(bot_file(tmp_path, f"{GOOD}    train: {{workers: {given}}}\n")).train
    assert (train.fewest_workers, train.most_workers) == (fewest, most)


@pytest.mark.parametrize("given", ["0", "[0, 2]", "[1]", "[4, 1]"])
def test_other_numbers_of_workers_are_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match=r"train\.workers"):
        load(bot_file(tmp_path, f"{GOOD}    train: {{workers: {given}}}\n"))


def test_a_new_key_at_its_default_leaves_fingerprints_as_they_are() -> None:
    class LaterTrain(Train):
        patience: Annotated[int, Unit("measurements")] = 3
        """Measurements without progress before the run ends."""

    said = {"epochs": 2, "batch_size": 8}  # 8 is the default
    assert LaterTrain(**said).model_dump(exclude_defaults=True) == Train(**said).model_dump(exclude_defaults=True)
    assert Train(**said).model_dump(exclude_defaults=True) == {"epochs": 2}
    assert LaterTrain(patience=4).model_dump(exclude_defaults=True) == {"patience": 4}


def test_sections_are_dumped_as_what_they_are() -> None:
    bot = Bot(name="demo", sources={"a": FileSource(url="b", kind="file")}, clean=Clean(min_words=4))
    assert bot.model_dump(exclude_defaults=True) == {
        "name": "demo",
        "sources": {"a": {"url": "b"}},
        "clean": {"min_words": 4},
    }


def sections() -> Iterator[type[Section]]:
    yield from (BotSpec, *SOURCES.values(), *ACCOUNTS.values())
    for field in BotSpec.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield field.annotation


def test_every_key_is_documented() -> None:
    found = list(sections())
    assert len(found) >= 12
    assert [s.__name__ for s in found if not s.__doc__] == []
    assert [f"{s.__name__}.{n}" for s in found for n, f in s.model_fields.items() if not f.description] == []


def test_every_number_has_a_unit() -> None:
    numbers = [
        (f"{section.__name__}.{name}", field)
        for section in sections()
        for name, field in section.model_fields.items()
        if {int, float} & {field.annotation, *get_args(field.annotation)}
    ]
    assert len(numbers) >= 25
    assert [name for name, field in numbers if not any(isinstance(one, Unit) for one in field.metadata)] == []


def test_reading_a_bot_file_imports_no_heavy_library(tmp_path: Path) -> None:
    path = bot_file(tmp_path, GOOD)
    code = (
        "import sys, pathlib; from mynah.bot import load; load(pathlib.Path(sys.argv[1]));"
        "print(sorted({'pyarrow', 'httpx', 'psycopg', 'kubernetes', 'jsonschema', 'mynah.bot.chart'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
