"""From a model server's answers to tweets with their verdicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.generate import generate, read_prompts
from mynah.bot import Bot, Generate
from mynah.bot.generate import Prompt
from mynah.database import served, tweets
from mynah.database.connection import Connection
from mynah.errors import MynahError, UsageError
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


def told(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT text, seed, sampling->'n', prompt FROM tweets ORDER BY id").fetchall()


def numbered(body: dict[str, Any]) -> Answer:
    """Texts that differ with the seed, as a real server's do."""
    words = ("owl", "crow", "wren", "duck", "kite", "swan", "rook", "gull", "hawk", "dove", "lark", "teal", "ibis")
    first = body["seed"] * 13
    saying = (f"The {words[(first + n) % 13]} says {first + n} is {words[n % 13]} to it." for n in range(body["n"]))
    return choices(*saying)


def test_a_generation_that_was_cut_off_is_gone_on_with(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    asked = asking(bot, 25)
    model(server, numbered, (500, {"error": "out of memory"}))
    with pytest.raises(MynahError, match="out of memory"):
        generate(asked, settings, server.address)
    assert len(rows(connection)) == 20, "what came is stored"

    model(server, numbered)
    server.asked.clear()
    done = generate(asked, settings, server.address)
    assert (done.written, done.candidates, done.before) == (25, 25, 20)
    assert "an earlier run, which was cut off, had stored 20 of them" in done.summary()
    assert [(body["seed"], body["n"]) for body in server.asked if body] == [(25, 5)]

    model(server, numbered)
    server.asked.clear()
    again = generate(asked, settings, server.address)
    assert (again.written, again.known, again.before) == (25, 0, 0), "the seeds go on: no text comes twice"
    assert [body["seed"] for body in server.asked if body] == [30, 50]
    assert len(rows(connection)) == 50


def test_two_that_ask_for_the_same_store_nothing_twice(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    asked = asking(bot, 3)

    def meanwhile(body: dict[str, Any]) -> Answer:
        model(server, numbered)
        assert generate(asked, settings, server.address).candidates == 3
        return numbered(body)

    model(server, meanwhile)
    with pytest.raises(MynahError, match="another `mynah generate demo` asks for the same, and went on with it"):
        generate(asked, settings, server.address)
    assert len(rows(connection)) == 3


def test_until_so_many_are_good_or_the_limit_is_reached(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    def half(body: dict[str, Any]) -> Answer:
        _, said = numbered(body)
        for place, choice in enumerate(said["choices"]):
            choice["text"] = ("See x.com. " if place % 2 else "") + choice["text"]
        return 200, said

    model(server, half)
    done = generate(asking(bot, 4), settings, server.address, good=6)
    assert (done.candidates, done.rejected, done.written) == (6, 6, 12)
    model(server, half)
    done = generate(asking(bot, 4), settings, server.address, good=6, limit=5)
    assert (done.candidates, done.written) == (3, 5)
    assert done.summary().endswith("6 good ones were wanted, and the limit is reached")
    model(server, half)
    assert generate(asking(bot, 4), settings, server.address, limit=3).written == 3


def test_a_prompt_may_have_a_number_of_its_own(
    bot: Bot, connection: Connection, settings: Settings, server: Server, tmp_path: Path
) -> None:
    prompts = Generate(prompts=["One", {"prompt": "Two", "samples": 1}], samples=2, seed=1)
    model(server, numbered)
    generate(bot.model_copy(update={"generate": prompts}), settings, server.address)
    assert [(prompt, seed) for _, seed, _, prompt in told(connection)] == [("One", 1), ("One", 1), ("Two", 3)]

    (tmp_path / "prompts.txt").write_text("Three\n\n  Four \nThree\n")
    assert read_prompts(str(tmp_path / "prompts.txt"), 7) == [
        Prompt(prompt="Three", samples=7),
        Prompt(prompt="Four", samples=7),
    ]
    for name in ("missing.txt", "empty.txt"):
        (tmp_path / "empty.txt").write_text("\n")
        with pytest.raises(UsageError, match=f"--prompts .*{name} (cannot be read|has no prompt)"):
            read_prompts(str(tmp_path / name), 1)


def test_a_bot_that_learned_capitals_and_signs_for_line_breaks(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    speaking = Generate(
        prompts=["придёшь"], samples=1, case="upper", line_break="@", stop="###", temperature=(0.5, 0.7), seed=1
    )
    model(server, (200, {"choices": [{"text": " ДОМОЙ@ТАМ НЕТ НИКОГО@### И ЕЩЁ", "finish_reason": "length"}]}))
    generate(asking(bot.model_copy(update={"generate": speaking}), 1), settings, server.address)
    assert [text for text, *_ in rows(connection)] == ["ПРИДЁШЬ ДОМОЙ\nТАМ НЕТ НИКОГО"]
    body = server.asked[-1]
    assert (body["prompt"], body["stop"]) == (["ПРИДЁШЬ"], "###")
    assert 0.5 <= body["temperature"] <= 0.7
    assert connection.execute("SELECT sampling->'temperature' FROM tweets").fetchone() == (body["temperature"],)


def test_every_rule_that_is_broken_is_kept(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    model(server, choices("See example.com, you bitch, and ask @jack."))
    generate(asking(bot, 1), settings, server.address)
    tweet = tweets.get_tweet(connection, "demo", 1)
    assert tweet
    assert [each["code"] for each in tweet.broken] == ["link", "mention", "toxic"]
    assert tweet.reason == f"link: {tweet.broken[0]['words']}"


def test_what_is_nearly_an_earlier_tweet_of_any_bot_is_rejected(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    said = "The mynah repeats what nobody has ever asked it, and flies away"
    tweets.add_tweets(connection, "other", [tweets.NewTweet(f"{said}!")])
    tweets.add_tweets(
        connection, "other", [tweets.NewTweet("A rule rejected this text of one bird.", "rejected", "link: x")]
    )
    model(
        server, choices(f"{said} now.", "The crow knows a song of its own.", "A rule rejected this text of one bird!")
    )
    generate(asking(bot, 3), settings, server.address)
    assert [(state, reason) for _, state, reason in rows(connection)[2:]] == [
        ("rejected", "similar: 94% of it is tweet 1 of other"),
        ("candidate", None),
        ("candidate", None),
    ]
    model(server, choices("The crow knows a song of its own!!", "The CROW knows a song of its own?"))
    assert generate(asking(bot, 2, max_similarity=1), settings, server.address).rejected == 2


def test_candidates_with_a_high_score_are_approved(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    long = "A much longer text of many words that say rather more than most others of this test could ever say at once."
    model(server, choices("A short one.", long))
    done = generate(asking(bot, 2, approve_above=0.8), settings, server.address)
    assert (done.candidates, done.approved) == (1, 1)
    assert [state for _, state, _ in rows(connection)] == ["candidate", "approved"]
    assert connection.execute("SELECT who, action FROM decisions").fetchall() == [("judge.approve_above", "approve")]


def test_what_the_curators_like_ranks_new_texts(
    bot: Bot, connection: Connection, settings: Settings, server: Server
) -> None:
    for number in range(50):
        text = f"Why does bird {number} sing?" if number % 2 else f"Bird {number} sings a song."
        tweets.add_tweets(connection, "demo", [tweets.NewTweet(text)])
        tweets.decide(connection, "demo", number + 1, *(("approved",) if number % 2 else ("rejected", "dull")))
    model(server, choices("The crow sings nothing at all today.", "Where do all of the crows go?"))
    generate(asking(bot, 2, approve_best=1), settings, server.address)
    statement, question = (tweets.get_tweet(connection, "demo", id) for id in (51, 52))
    assert statement
    assert question
    assert (statement.score or 1) < 0.5 < (question.score or 0)
    assert (question.state, question.scores["liked"]) == ("approved", question.score)
    assert 0 < question.scores["judged"] < 1
