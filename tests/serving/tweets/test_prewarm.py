"""Prompts that are answered before anybody asks."""

import httpx
import pytest
from click.testing import CliRunner

from mynah.bot import Bot
from mynah.database import prompts
from mynah.database.connection import Connection
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings
from serving.tweets.prewarm import prewarm, prompts_of
from serving.verbs import play
from tests.scripted import Server
from tests.serving.tweets.conftest import answer


def test_they_are_written_once_suggested_and_no_visits(
    settings: Settings, bots: dict[str, Bot], connection: Connection, model: Server
) -> None:
    lines = ["Love is\n", "\n", "  LOVE   is\n", "Home is"]
    done = prewarm(settings, bots["left"], lines)
    assert done.summary() == "2 prompts: 2 written now, 0 known already"
    assert prewarm(settings, bots["left"], lines).written == 0
    assert len([body for body in model.asked if "prompt" in body]) == 2
    assert prompts.suggest(connection, "left", "", 9) == ["home is", "love is"]
    assert prompts.counts(connection, "left") == {"prompt": 2}


def test_a_known_one_is_answered_without_a_model(
    api: httpx.Client, settings: Settings, bots: dict[str, Bot], model: Server
) -> None:
    prewarm(settings, bots["left"], ["Love is"])
    model.asked.clear()
    known = api.get("/tweets", params={"bot": "left", "prompt": "love is"})
    assert known.status_code == 200
    assert known.json()["texts"]
    assert not model.asked


def test_what_was_answered_is_kept_where_another_fails(settings: Settings, bots: dict[str, Bot], model: Server) -> None:
    def at_times(body: dict[str, object]) -> object:
        return (400, {"error": "no"}) if "bad" in str(body.get("prompt", "")) else answer(body)

    model.script = [at_times]
    with pytest.raises(MynahError, match=r"1 of 3 prompts were not answered, such as 'bad': .*run it again"):
        prewarm(settings, bots["left"], ["one", "bad", "two"])
    model.script = [answer]
    assert prewarm(settings, bots["left"], ["one", "bad", "two"]).written == 1


def test_without_a_model_it_says_so(settings: Settings, bots: dict[str, Bot]) -> None:
    with pytest.raises(MynahError, match="right has no model yet: promote one"):
        prewarm(settings, bots["right"], ["one"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "there is no prompt in it"),
        (["\n", " \n"], "there is no prompt in it"),
        (["good\n", "x" * 101], "line 2: prompt: it has 101 characters, and 100 are the most"),
        (["a " * 21], "line 1: prompt: it has 21 words, and 20 are the most"),
    ],
)
def test_a_file_with_a_mistake_is_refused_whole(lines: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prompts_of("left", lines)


def test_a_proxy_is_an_address_or_a_network() -> None:
    wrong = CliRunner().invoke(play, ["fortune", "--proxy", "10.0.0.1/8"])
    assert wrong.exit_code == 2
    assert "10.0.0.1/8 has host bits set: give an address, or a network such as 10.0.0.0/8" in wrong.output
