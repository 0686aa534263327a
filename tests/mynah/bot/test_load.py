"""The bot file: every mistake is one line that says where it is."""

from pathlib import Path

import pytest

from mynah.bot import find, load
from mynah.errors import UsageError

GOOD = """\
bots:
  demo:
    sources:
      quotes: {url: quotes.txt}
    train:
      max_steps: 5
"""


def bot_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(bot_file(tmp_path, text), overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_and_values(tmp_path: Path) -> None:
    bot = load(bot_file(tmp_path, GOOD))
    assert (bot.name, bot.train.max_steps, bot.train.block_size) == ("demo", 5, 128)
    assert bot.sources["quotes"].kind == "file"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("max_steps", "max_stepz", "demo.yaml:6: bots.demo.train.max_stepz: unknown key; did you mean max_steps?"),
        ("train:", "trian:", "demo.yaml:5: bots.demo.trian: unknown key; did you mean train?"),
        ("url: quotes.txt", "urll: quotes.txt", "demo.yaml:4: bots.demo.sources.quotes.urll: unknown key"),
        ("max_steps: 5", "max_steps: 0", "demo.yaml:6: bots.demo.train.max_steps: Input should be greater"),
        ("max_steps: 5", "max_steps: many", "demo.yaml:6: bots.demo.train.max_steps: Input should be a valid integer"),
        ("bots:", "bot:", "demo.yaml:1: bot: unknown key; did you mean bots?"),
        ("url: quotes.txt", "", "demo.yaml:4: bots.demo.sources.quotes.url: missing"),
        ("{url: quotes.txt}", "quotes.txt", "demo.yaml:4: bots.demo.sources.quotes: not a map of keys to values"),
        ("{url: quotes.txt}", "", "demo.yaml:4: bots.demo.sources.quotes: not a map of keys to values"),
        ("quotes:", "Quotes:", "demo.yaml:4: bots.demo.sources.Quotes: not a name: lower-case letters"),
        ("url: quotes.txt", "url: a, kind: fiel", "demo.sources.quotes.kind: unknown kind fiel; did you mean file?"),
        ("url: quotes.txt", "url: a, kind: [file]", "bots.demo.sources.quotes.kind: unknown kind ['file']; "),
        ("url: quotes.txt", "url: a, fields: {texts: joke}", "quotes.fields.texts: Input should be 'id', 'text'"),
        ("    train:", "    serve: {memory: 2 GB}\n    train:", "bots.demo.serve.memory: not an amount as Kubernetes"),
        ("  demo:", "  My_Bot:", "not a name: lower-case letters"),
        ("    train:", "    post: {schedule: daily}\n    train:", "bots.demo.post.schedule: not a cron expression"),
        ("    train:", "    post: {time_zone: Europe/Mosco}\n    train:", "did you mean Europe/Moscow?"),
        ("max_steps: 5", "max_steps: 5\n      max_steps: 6", "demo.yaml:7: bots.demo.train.max_steps stands twice"),
        ("max_steps: 5", "max_steps: [5", "demo.yaml:7: not valid YAML"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    assert wanted in complaint(tmp_path, GOOD.replace(old, new, 1))


def test_two_bots_in_one_file_are_refused(tmp_path: Path) -> None:
    second = GOOD.replace("bots:\n", "").replace("demo", "other")
    assert "one bot per file" in complaint(tmp_path, GOOD + second)


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert "bots: missing" in complaint(tmp_path, "")


def test_set_overrides_the_file_and_is_named_in_errors(tmp_path: Path) -> None:
    bot = load(bot_file(tmp_path, GOOD), ["bots.demo.train.max_steps=7,bots.demo.sources.quotes.url=a.csv"])
    assert (bot.train.max_steps, bot.sources["quotes"].url) == (7, "a.csv")
    wrong = complaint(tmp_path, GOOD, "bots.demo.train.stepz=7")
    assert wrong.startswith("--set bots.demo.train.stepz=7: bots.demo.train.stepz: unknown key")


def test_find_knows_names_and_paths(tmp_path: Path) -> None:
    path = bot_file(tmp_path, GOOD)
    assert find("demo", tmp_path) == path
    assert find(str(path), Path("elsewhere")) == path
    with pytest.raises(UsageError, match="did you mean demo"):
        find("demmo", tmp_path)
    with pytest.raises(UsageError, match="no such bot file"):
        load(tmp_path / "none.yaml")
