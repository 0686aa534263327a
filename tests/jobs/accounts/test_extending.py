"""A new kind of account, as CONTRIBUTING.md says: a section, a module, one line of a table. It posts like any other."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

import jobs.accounts
from jobs.accounts import choose, open_account
from jobs.post import post
from mynah.bot import load
from mynah.bot.accounts import KINDS
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet, add_tweets
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings
from tests.kinds import added

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)

# mynah/bot/accounts/wall.py
SECTION = '''
"""The account `wall`."""

from typing import Literal

from mynah.bot.accounts.account import Account


class WallAccount(Account):
    """A folder with a file per post."""

    kind: Literal["wall"]
    """What sort of account this is."""
    folder: str
    """Where the posts are put up."""
'''

# jobs/accounts/wall.py
MODULE = '''
"""A wall: a folder with a file per post."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from jobs.accounts import FREE, Outcome, Page, Posted, Published, Shown, Unavailable


def open_account(bot, name, section, settings):
    return Wall(Path(section.folder))


@dataclass(frozen=True)
class Wall:
    folder: Path
    name = "the wall"
    settle = timedelta(0)
    idempotent = False
    page_size = (1, 1)
    read_cost = FREE

    def cost(self, text):
        return FREE

    def long(self, text):
        return None

    def record(self, post):
        return {"file": f"{post.bot}-{post.tweet_id}.txt"}

    def post(self, post) -> Outcome:
        file = self.folder / post.record["file"]
        try:
            file.write_text(post.text)
        except OSError as error:
            return Unavailable(f"it cannot be written: {error.strerror}")
        return Posted(Published(file.name, file.as_uri()))

    def own_posts(self, since, after, size, cursor) -> Page:
        files = self.folder.glob("*.txt")
        return Page([Shown(Published(file.name, file.as_uri()), file.read_text()) for file in files], None)

    def same(self, post, shown):
        return post.record["file"] == shown.published.id
'''

BOT = """\
bots:
  demo:
    sources: {none: {url: none.txt}}
    accounts:
      tryout: {kind: outbox}
      wall: {kind: wall, folder: FOLDER, schedule: "30 * * * *"}
      news: {kind: x, env: NEWS_}
"""


@pytest.fixture
def bot_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "wall.py").write_text(MODULE)
    (tmp_path / "wall").mkdir()
    (tmp_path / "demo.yaml").write_text(BOT.replace("FOLDER", str(tmp_path / "wall")))
    monkeypatch.setattr(jobs.accounts, "__path__", [*jobs.accounts.__path__, str(tmp_path)])
    section = ModuleType("wall")
    exec(SECTION, vars(section))
    with added(KINDS, "wall", section.WallAccount):  # the line of the table
        yield tmp_path / "demo.yaml"
    sys.modules.pop("jobs.accounts.wall", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read({"MYNAH_HOME": str(tmp_path / "home"), "X_API_KEY": "not that of news"})


def test_it_takes_fewer_than_50_lines() -> None:
    assert len([line for line in (SECTION + MODULE).splitlines() if line.strip()]) < 50


def test_a_new_kind_posts(bot_file: Path, settings: Settings, connection: Connection, tmp_path: Path) -> None:
    add_tweets(connection, "demo", [NewTweet("To be put up", state="approved")])
    bot = load(bot_file)
    account = open_account(bot, "wall", settings)
    result = post(bot, "wall", connection, account, slot=NOON, now=NOON)
    assert (result.outcome, result.account, result.post_id) == ("posted", "wall", "demo-1.txt")
    assert (tmp_path / "wall/demo-1.txt").read_text() == "To be put up"
    assert post(bot, "wall", connection, account).outcome == "nothing"
    assert post(bot, "tryout", connection, open_account(bot, "tryout", settings)).outcome == "posted"
    (line,) = (tmp_path / "home/outbox/demo-tryout.jsonl").read_text().splitlines()
    assert json.loads(line)["text"] == "To be put up"


def test_what_it_cannot_take_stays_approved(
    bot_file: Path, settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    add_tweets(connection, "demo", [NewTweet("To be put up", state="approved")])
    (tmp_path / "wall").rmdir()
    bot = load(bot_file)
    with pytest.raises(MynahError, match="to the wall: it cannot be written: .*; it stays approved"):
        post(bot, "wall", connection, open_account(bot, "wall", settings))


def test_which_account(bot_file: Path) -> None:
    bot = load(bot_file)
    name, section = choose(bot, "wall")
    assert (name, section.schedule) == ("wall", "30 * * * *")
    with pytest.raises(
        UsageError, match=r"demo has several accounts \(tryout, wall, news\): choose one with --account"
    ):
        choose(bot, None)
    with pytest.raises(UsageError, match="demo has no account wal; did you mean wall?"):
        choose(bot, "wal")
    with pytest.raises(UsageError, match="demo has no account zzz; there are: tryout, wall, news"):
        choose(bot, "zzz")


def test_an_account_on_x_names_the_keys_that_it_lacks(bot_file: Path, settings: Settings) -> None:
    with pytest.raises(UsageError) as error:
        open_account(load(bot_file), "news", settings)
    assert str(error.value) == (
        "account news of bot demo posts to X and its keys are not set: "
        "set NEWS_X_API_KEY, NEWS_X_API_SECRET, NEWS_X_ACCESS_TOKEN, NEWS_X_ACCESS_TOKEN_SECRET"
    )


def test_an_account_on_x_has_keys_of_its_own(bot_file: Path, tmp_path: Path) -> None:
    keys = {f"NEWS_X_{name}": name for name in ("API_KEY", "API_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")}
    account = open_account(load(bot_file), "news", Settings.read(keys))
    assert (account.name, account.settle) == ("X", timedelta(minutes=10))
    assert account._keys == tuple(keys.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("env", "name"), [({}, ""), ({"X_API_KEY": "a", "X_API_SECRET": "b"}, "X")])
def test_the_short_form_is_x_where_its_keys_are_there(tmp_path: Path, env: dict[str, str], name: str) -> None:
    (tmp_path / "demo.yaml").write_text("bots: {demo: {sources: {none: {url: a.txt}}}}")
    bot = load(tmp_path / "demo.yaml")
    assert choose(bot, None)[0] == "main"
    more = {"X_ACCESS_TOKEN": "c", "X_ACCESS_TOKEN_SECRET": "d"} if env else {}
    account = open_account(bot, "main", Settings.read({"MYNAH_HOME": str(tmp_path), **env, **more}))
    assert account.name == (name if env else f"the outbox {tmp_path}/outbox/demo.jsonl")
    if env:
        with pytest.raises(UsageError, match="X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET not set"):
            open_account(bot, "main", Settings.read(env))
