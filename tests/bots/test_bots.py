"""The bot files that are shipped: valid, known to editors, and with addresses that exist."""

import re
from pathlib import Path

import pytest

from mynah.bot import FileSource, load

REPO = Path(__file__).parents[2]
BOTS = sorted((REPO / "bots").glob("*.yaml"))


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_a_bot_file_is_valid_and_named_as_its_bot(path: Path) -> None:
    bot = load(path)
    assert bot.name == path.stem
    assert bot.description


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_the_first_line_leads_an_editor_to_the_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    relative = first.removeprefix("# yaml-language-server: $schema=")
    assert relative != first
    assert (path.parent / relative).resolve() == REPO / "docs" / "bot-file.schema.json"


def test_the_example_of_articles_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (REPO / "docs/articles.md").read_text("utf-8"), re.S)
    (tmp_path / "astrology.yaml").write_text(example, "utf-8")
    assert [source.kind for source in load(tmp_path / "astrology.yaml").sources.values()] == ["article"] * 3


def test_the_example_of_accounts_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (REPO / "docs/posting.md").read_text("utf-8"), re.S)
    (tmp_path / "parrot.yaml").write_text(example, "utf-8")
    assert [account.kind for account in load(tmp_path / "parrot.yaml").accounts.values()] == [
        "x",
        "mastodon",
        "bluesky",
    ]


def test_addresses_are_those_that_the_data_was_collected_from(shared: Path) -> None:
    """SOURCES.md names a repository, its commit and a path there for each data file."""
    entries = re.findall(r"^- from: (\S+)@(\w+)\n- path there: (.*)$", (shared / "data/SOURCES.md").read_text(), re.M)
    known = {(repo, commit): paths for repo, commit, paths in entries}
    checked = 0
    for path in BOTS:
        for source in load(path).sources.values():
            if isinstance(source, FileSource) and source.url.startswith("http"):
                found = re.fullmatch(r"https://raw\.githubusercontent\.com/([^/]+/[^/]+)/(\w+)/(.+)", source.url)
                assert found, source.url
                repo, commit, file = found.groups()
                assert (repo, commit) in known, f"{path.name}: {source.url}: no such commit in SOURCES.md"
                assert file in known[repo, commit].replace("<same name>", Path(file).name), source.url
                checked += 1
    assert checked >= 3
