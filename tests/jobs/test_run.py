"""The loop's own decisions: which model speaks after a training, and that each account is posted to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import run
from mynah.bot import Bot, FileSource, OutboxAccount
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": database_url})


class Verbs(run._Steps):
    """Does in this process what a verb would do in its own."""

    def __init__(self, **verbs: Callable[..., dict[str, Any]]) -> None:
        super().__init__("demo", "demo.yaml", ())
        self.verbs = verbs
        self.called: list[tuple[str, ...]] = []

    def verb(self, verb: str, *flags: str, step: str | None = None) -> dict[str, Any]:
        self.called.append((step or verb, *flags))
        self.seconds[step or verb] = 1.0
        return self.verbs[verb](*flags)


def make_current(connection: Connection, model: str) -> dict[str, Any]:
    served.carry_out(connection, served.ask(connection, "demo", model, "it is good").id)
    return {"summary": f"{model} is demo's current model"}


def fail(*_: str) -> dict[str, Any]:
    raise MynahError("step promote failed (exit 1); mend it and run this again")


def test_a_good_model_becomes_current(
    connection: Connection, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Verbs(promote=lambda model: make_current(connection, model))
    assert run._promoted("demo", "new", steps, settings) == "new"
    assert "  promote      1.0 s  new is demo's current model\n" in capsys.readouterr().err
    assert run._promoted("demo", "new", steps, settings) == "new"
    assert steps.called == [("promote", "new")]  # once: it is current then
    assert "  promote: new speaks for demo already" in capsys.readouterr().err


def test_a_bad_model_leaves_the_current_one(
    connection: Connection, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    make_current(connection, "old")

    def judge(model: str) -> dict[str, Any]:
        served.refuse(connection, "demo", model, "its dev loss is worse")
        return fail()

    steps = Verbs(promote=judge)
    for _ in range(2):  # it is not judged twice
        assert run._promoted("demo", "new", steps, settings) == "old"
        said = capsys.readouterr().err
        assert "  promote: new is refused (its dev loss is worse); old goes on speaking\n" in said
    assert len(steps.called) == 1


def test_a_bad_first_model_ends_the_run(connection: Connection, settings: Settings) -> None:
    served.refuse(connection, "demo", "new", "it answers with no text")
    with pytest.raises(MynahError, match=r"new is refused \(it answers with no text\), and demo has no other model"):
        run._promoted("demo", "new", Verbs(), settings)


def test_a_promotion_that_judged_nothing_ends_the_run(connection: Connection, settings: Settings) -> None:
    make_current(connection, "old")
    with pytest.raises(MynahError, match="step promote failed"):
        run._promoted("demo", "new", Verbs(promote=fail), settings)


def test_each_account_is_posted_to_though_one_fails() -> None:
    names = ("first", "second", "third")
    bot = Bot(
        name="demo",
        sources={"none": FileSource(url="none.txt")},
        accounts={name: OutboxAccount(kind="outbox") for name in names},
    )
    steps = Verbs(post=lambda _, name: fail() if name == "second" else {"summary": f"posted to {name}"})
    with pytest.raises(MynahError):
        run._post(bot, steps)
    assert steps.called == [(f"post {name}", "--account", name) for name in names]
    single = bot.model_copy(update={"accounts": {}})
    steps = Verbs(post=lambda _, name: {"summary": f"posted to {name}"})
    assert run._post(single, steps) == {"main": {"summary": "posted to main"}}
    assert list(steps.seconds) == ["post"]
