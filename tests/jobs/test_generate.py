"""From a model server's answers to tweets with their verdicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.generate import generate
from mynah.bot import Bot
from mynah.database import served, tweets
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.scripted import Answer, Server, choices, scripted


@pytest.fixture
def server() -> Iterator[Server]:
    with scripted() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": database_url})


def model(server: Server, *answers: Any) -> None:
    server.script = [(200, {"versions": ["a-model"]}), *answers]


def asking(bot: Bot, samples: int, **judge: Any) -> Bot:
    changed = {"min_words": 1, "min_variety": 0, **judge}
    return bot.model_copy(
        update={
            "generate": bot.generate.model_copy(update={"samples": samples, "seed": 5}),
            "judge": bot.judge.model_copy(update=changed),
        }
    )


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT text, state, reason FROM tweets ORDER BY id").fetchall()


def test_texts_are_judged_and_stored_with_what_made_them(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    model(server, choices("A fine thing.", "See example.com now.", "Ask @jack now."))
    generated = generate(asking(bot, 3, approve_best=1), settings, server.address)
    assert generated.summary() == ("model a-model wrote 3 texts: 0 candidates, 1 approved, 2 rejected, 0 known already")
    assert rows(connection) == [
        ("A fine thing.", "approved", None),
        (
            "See example.com now.",
            "rejected",
            "link: it contains a link (example.com), and judge.allow_links is false",
        ),
        ("Ask @jack now.", "rejected", "mention: it mentions an account (@jack), and judge.allow_mentions is false"),
    ]
    (tweet,) = tweets.best_texts(connection, "demo", "a-model", 9)
    assert (tweet.seed, tweet.sampling["temperature"], tweet.sampling["n"]) == (5, 0.9, 3)
    assert tweet.written == tweet.text


def test_what_differs_in_white_space_alone_is_known(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    keeping = asking(bot, 4)
    keeping = keeping.model_copy(update={"clean": keeping.clean.model_copy(update={"newlines": "keep"})})
    model(server, choices("A fine thing.", "A fine\nthing.", "A finer\nthing.", "A finer thing."))
    assert generate(keeping, settings, server.address).known == 2
    assert [text for text, *_ in rows(connection)] == ["A fine thing.", "A finer\nthing."]
    model(server, choices("A\nfine thing.", "A finer thing.", "A finer thing.", "New."))
    assert generate(keeping, settings, server.address).known == 3
    assert len(rows(connection)) == 3


def test_a_text_that_cannot_be_stored_as_it_is(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    model(server, (200, b'{"choices": [{"text": "A\\u0000 fine\\ud800 thing.", "finish_reason": "stop"}]}'))
    generate(asking(bot, 1), settings, server.address)
    assert rows(connection) == [("A fine thing.", "candidate", None)]


def test_no_connection_is_held_while_the_model_writes(
    bot: Bot, connection: Connection, settings: Settings, server: Server, database_url: str
) -> None:
    seen = []

    def write(body: dict[str, Any]) -> Answer:
        with psycopg.connect(database_url) as other:
            seen.append(
                other.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL(%s)",
                    [[other.info.backend_pid, connection.info.backend_pid]],
                ).fetchone()
            )
        return choices("A fine thing.")

    model(server, write)
    generate(asking(bot, 1), settings, server.address)
    assert seen == [(0,)]


def test_no_database_is_told_before_the_model_works(bot: Bot, tmp_path: Path, server: Server) -> None:
    dead = Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"})
    model(server, choices("A fine thing."))
    with pytest.raises(MynahError, match="Postgres does not answer"):
        generate(asking(bot, 1), dead, server.address)
    assert server.paths == ["/v2/models/demo"]


def test_texts_are_those_of_the_model_that_wrote_them(
    bot: Bot, connection: Connection, settings: Settings, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    served.carry_out(connection, served.ask(connection, "demo", "another", "trained").id)
    model(server, choices("A fine thing."))
    assert generate(asking(bot, 1), settings, server.address).model == "a-model"
    assert "serves a-model, and the current model of demo is another" in capsys.readouterr().err
    assert tweets.count_waiting(connection, "demo", "a-model") == 1

    served.carry_out(connection, served.ask(connection, "demo", "a-model", "trained").id)
    model(server, choices("A finer thing."))
    generate(asking(bot, 1), settings, server.address)
    assert "current model" not in capsys.readouterr().err


def test_an_endpoint_without_a_text_ends_it(bot: Bot, settings: Settings, server: Server) -> None:
    model(server, choices())
    with pytest.raises(MynahError, match="3 times without a text"):
        generate(asking(bot, 1), settings, server.address)


def test_a_server_that_tells_no_id_serves_the_current_model(
    bot: Bot, connection: Connection, settings: Settings, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    served.carry_out(connection, served.ask(connection, "demo", "the-current", "a test").id)
    server.script = [(200, {"name": "demo"}), choices("A fine thing.")]
    assert generate(asking(bot, 1), settings, server.address).model == "the-current"
    assert "serves" not in capsys.readouterr().err
