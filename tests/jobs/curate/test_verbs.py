"""`mynah curate` and `mynah search` without a terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from mynah.cli import cli
from mynah.database import tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter, find
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError
from tests.terminal import terminal
from tests.test_cli import BOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots/demo.yaml").write_text(BOT)
    return tmp_path


@pytest.fixture
def run(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """run(VERB, …) calls a verb in this process; returns what it prints, or the line by which it fails."""
    monkeypatch.chdir(folder)
    env = {"DATABASE_URL": database_url, "MYNAH_USER": "ana", "MYNAH_HOME": None, "MYNAH_BUCKET": None}

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, arguments, env=env)
        if isinstance(done.exception, MynahError):
            return str(done.exception)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_by_rule(run: Callable[..., str], connection: Connection) -> None:
    scored = [NewTweet(f"The king number {n} is here.", score=n / 10) for n in range(8)]
    tweets.add_tweets(connection, "demo", [*scored, NewTweet("The king is at example.com now.", score=0.95)])

    def curate(*arguments: str) -> str:
        return run("curate", "demo", *arguments)

    def states() -> dict[str, int]:
        return {state: number for state, number in tweets.count_states(connection, "demo").items() if number}

    listed = curate("--min-score", "0.6")
    assert "king number 7" in listed
    assert "king number 5" not in listed
    assert curate("approve", "--min-score", "0.6") == ("3 texts fit: look at them with list, then say --yes")
    assert states() == {"candidate": 9}
    done = curate("approve", "--min-score", "0.6", "--yes").splitlines()
    assert done[0] == "approved: 7, 8"
    assert done[1].startswith("left: tweet 9 cannot be posted: it contains a link")
    found = json.loads(curate("reject", "--search", "king -7", "--limit", "2", "--yes", "--json"))
    assert found["ids"] == [6, 9]
    assert states() == {"candidate": 5, "approved": 2, "rejected": 2}
    undone = curate("undo", "--last", "3")
    assert undone.count(" is candidate again: ") == 3
    assert states() == {"candidate": 8, "approved": 1}
    (left,) = find(connection, "demo", Filter("approved"))
    assert curate("undo", str(left.id)).startswith(f"tweet {left.id}, approved by ana on ")
    assert curate("undo").startswith("nothing to undo")
    assert curate("approve", "3", "--model", "m").startswith("ids and options that say which texts")
    assert "name tweets by their ids" in curate("approve")
    assert curate("reject", "--model", "none", "--yes") == "rejected: none\n"


def test_a_person_is_asked_how_many(folder: Path, connection: Connection, database_url: str) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet(f"The king number {n} is here.") for n in range(5)])
    arguments = ("curate", "demo", "approve", "--search", "king")
    for answer, number in (("n", 0), ("y", 5)):
        with terminal(folder, *arguments, DATABASE_URL=database_url) as asked:
            shown = asked.until("go on? [y/N]")
            assert "5 texts become approved (these and 2 more)" in shown
            asked.press(f"{answer}\r")
            assert asked.ended() == (0 if number else 130)
        assert tweets.count_states(connection, "demo")["approved"] == number


def test_files_and_words(folder: Path, run: Callable[..., str]) -> None:
    (folder / "in.csv").write_text(
        "tweet,tweet_timestamp,tweet_url\nThe old king.,2021-01-01,https://x.com/a/1\nNew.,,\n"
    )

    assert "1 candidates, 0 approved, 1 posted before" in run("curate", "demo", "import", "in.csv")
    assert "no such file" in run("curate", "demo", "import", "gone.csv").lower()
    assert "import takes one file" in run("curate", "demo", "import")
    assert len(run("curate", "demo", "export").splitlines()) == 3
    assert json.loads(run("curate", "demo", "export", "--state", "posted", "--json"))["text"] == "The old king."
    assert run("curate", "demo", "export", "out.jsonl") == "2 texts in out.jsonl\n"
    assert "tweet 1, posted 2021-01-01" in run("search", "demo", "king")
    assert "no word to look for" in run("search", "demo", "-")
