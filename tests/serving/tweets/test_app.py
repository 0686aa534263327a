"""A prompt is answered once, with the judged and ranked texts; every mistake has a message of its own."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from mynah.bot import Bot, Serve
from mynah.database import served
from mynah.database.connection import Connection
from mynah.settings import Settings
from tests.scripted import Server
from tests.serving.tweets.conftest import MODEL, Standing, answer, replica


def ask(api: httpx.Client, prompt: str = "Love", bot: str = "left", **more: Any) -> httpx.Response:
    return api.get("/tweets", params={"prompt": prompt, "bot": bot, **more})


def written(model: Server) -> int:
    """How many texts were asked of the model server."""
    return sum(body.get("n", 0) for body in model.asked)


def test_texts_are_judged_and_ranked(api: httpx.Client, model: Server) -> None:
    found = ask(api).raise_for_status().json()
    assert (found["bot"], found["prompt"], found["model"], found["state"]) == ("left", "Love", MODEL, "written")
    texts = [text["text"] for text in found["texts"]]
    assert texts == ["Love is a fine thing to have.", "Love is old and new."]
    scores = [text["score"] for text in found["texts"]]
    assert scores == sorted(scores, reverse=True)
    asked = model.asked[-1]
    assert asked["prompt"] == ["Love"]
    assert {name: asked[name] for name in ("n", "max_tokens", "temperature", "top_p", "top_k")} == {
        "n": 20,
        "max_tokens": 60,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
    }


def test_a_known_prompt_asks_no_model(api: httpx.Client, model: Server, connection: Connection) -> None:
    first = ask(api).json()
    model.script = [None]  # it hangs up
    again = ask(api, "  lOVE ").raise_for_status().json()
    assert (again["id"], again["texts"]) == (first["id"], first["texts"])
    assert connection.execute("SELECT key, visits FROM prompts").fetchall() == [("love", 2)]
    assert connection.execute("SELECT what, number FROM play_days ORDER BY what").fetchall() == [
        ("prompt", 1),
        ("visit", 2),
    ]
    assert ask(api, temperature=1).status_code == 503  # another way to sample is another answer


def test_a_hundred_equal_prompts_at_two_replicas_are_written_once(
    settings: Settings, bots: dict[str, Bot], model: Server, connection: Connection
) -> None:
    with replica(settings, bots) as one, replica(settings, bots) as two, ThreadPoolExecutor(100) as people:
        asked = [people.submit(ask, (one, two)[number % 2]) for number in range(100)]
        found = [each.result() for each in asked]
    assert {each.status_code for each in found} == {200}
    assert len({each.json()["id"] for each in found}) == 1
    assert written(model) == 20
    assert connection.execute("SELECT visits FROM prompts").fetchone() == (100,)


def test_until_it_is_written_it_says_how_far_it_is(api: httpx.Client, model: Server) -> None:
    begin = time.monotonic()
    found = ask(api, wait=0)
    assert time.monotonic() - begin < 2
    assert (found.status_code, found.headers["retry-after"]) == (202, "2")
    told = found.json()
    assert found.headers["location"] == f"/tweets/{told['id']}?bot=left"
    assert told["state"] == "writing"
    assert (told["before"], told["texts"]) == (0, [])
    assert told["seconds"] < 2
    assert told["phase"]
    other = ask(api, "Hate", wait=0).json()
    assert other["before"] == 1
    by_id = {"bot": "left"}
    give_up = time.monotonic() + 20
    while (found := api.get(f"/tweets/{told['id']}", params=by_id)).status_code == 202:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert found.json()["texts"]
    assert written(model) <= 40


def test_a_server_that_fails_is_told_and_asked_again_by_the_next(api: httpx.Client, model: Server) -> None:
    model.script = [(200, {"versions": [MODEL]}), (500, {"error": "no luck"}), answer]
    found = ask(api)
    assert found.status_code == 503
    assert "no luck" in found.json()["error"]
    assert found.headers["retry-after"]
    assert ask(api).status_code == 200


def test_another_model_answers_anew(api: httpx.Client, model: Server, connection: Connection) -> None:
    first = ask(api).json()
    served.carry_out(connection, served.ask(connection, "left", "another", "a test").id)
    changing = ask(api)
    assert changing.status_code == 503
    assert changing.json()["error"] == f"left is changing its model from {MODEL} to another: ask again in a moment"
    model.script = [lambda body: answer(body) if "prompt" in body else (200, {"versions": ["another"]})]
    again = ask(api).raise_for_status().json()
    assert again["model"] == "another"
    assert again["id"] != first["id"]


def test_a_bot_without_a_model(standing: Standing) -> None:
    found = ask(standing.api, bot="right")
    assert found.status_code == 503
    assert found.json()["error"] == "right has no model yet: promote one"


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"bot": "left"}, 400, "prompt: it is missing"),
        ({"prompt": "x"}, 400, "bot: it is missing; there are left, right"),
        ({"prompt": "x", "bot": "nobody"}, 404, "bot: there is none named nobody; there are left, right"),
        ({"prompt": "x" * 101, "bot": "left"}, 400, "prompt: it has 101 characters, and 100 are the most"),
        ({"prompt": "a " * 21, "bot": "left"}, 400, "prompt: it has 21 words, and 20 are the most"),
        ({"prompt": "a\0b", "bot": "left"}, 400, "prompt: it contains a character that is none"),
        ({"prompt": "x", "bot": "left", "num_samples": "0"}, 400, "num_samples: '0' is not greater than or equal to 1"),
        ({"prompt": "x", "bot": "left", "length": "281"}, 400, "length: '281' is not less than or equal to 280"),
        ({"prompt": "x", "bot": "left", "temperature": "hot"}, 400, "temperature: 'hot' is not a valid number"),
        ({"prompt": "x", "bot": "left", "top_p": "0"}, 400, "top_p: '0' is not greater than 0"),
        ({"prompt": "x", "bot": "left", "top_k": "-1"}, 400, "top_k: '-1' is not greater than or equal to 0"),
        ({"prompt": "x", "bot": "left", "wait": "46"}, 400, "wait: Input should be less than or equal to 45"),
        ({"prompt": "x", "bot": "left", "colour": "1"}, 400, "colour: there is no such field; there are prompt, "),
    ],
)
def test_each_field_has_its_message(standing: Standing, query: dict[str, str], status: int, says: str) -> None:
    found = standing.api.get("/tweets", params=query)
    assert (found.status_code, found.json()["error"][: len(says)]) == (status, says)
    assert standing.model.asked == []


@pytest.mark.parametrize("prompt", ["Что такое любовь?", "👩‍👩‍👧 is", "", "x" * 100, "a " * 20])
def test_what_a_prompt_may_be(standing: Standing, prompt: str) -> None:
    assert ask(standing.api, prompt, num_samples=4).status_code == 200


def test_v1_answers_several_at_once(api: httpx.Client, model: Server) -> None:
    asked = {"instances": ["Love", {"prompt": "Hate", "num_samples": 4}]}
    found = api.post("/v1/models/left:predict", json=asked).raise_for_status().json()["predictions"]
    assert [each["prompt"] for each in found] == ["Love", "Hate"]
    assert all(each["texts"] for each in found)
    assert written(model) == 24


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "body: it is no JSON"),
        (b"[1]", "instances: it is no list"),
        (b'{"instances": []}', "instances: it has 0, and 1 to 16 are taken"),
        (b'{"instances": [1]}', "instances[0]: it is neither a text nor a map of fields"),
        (b'{"instances": [{"prompt": 1}]}', "prompt: it is no text"),
    ],
)
def test_v1_says_what_is_wrong(standing: Standing, body: bytes, says: str) -> None:
    found = standing.api.post("/v1/models/left:predict", content=body)
    assert (found.status_code, found.json()["error"]) == (400, says)


def test_prompts_that_several_people_asked_are_named_to_others(api: httpx.Client) -> None:
    for prompt, times in (("Love", 3), ("Lovers of 100%", 4), ("Lonely secret", 1), ("Hate", 3)):
        for _ in range(times):
            ask(api, prompt, num_samples=1, wait=0)

    def known(prefix: str) -> list[str]:
        found: list[str] = api.get("/prompts", params={"bot": "left", "prefix": prefix}).json()["prompts"]
        return found

    assert known("LO") == ["lovers of 100%", "love"]
    assert known("lovers of 100%") == ["lovers of 100%"]
    assert known("%") == []
    assert known("") == ["lovers of 100%", "hate", "love"]


def test_opinions_are_noted_and_counted(api: httpx.Client, connection: Connection) -> None:
    id = ask(api).json()["id"]
    like = {"bot": "left", "place": 0, "opinion": "like"}
    assert api.post(f"/tweets/{id}/opinions", json=like).status_code == 201
    report = {"bot": "left", "place": 1, "opinion": "report", "reason": "rude"}
    assert api.post(f"/tweets/{id}/opinions", json=report).status_code == 201
    assert connection.execute("SELECT place, opinion, reason FROM opinions ORDER BY id").fetchall() == [
        (0, "like", ""),
        (1, "report", "rude"),
    ]
    assert api.post(f"/tweets/{id}/opinions", json={**like, "place": 9}).status_code == 404
    assert api.post(f"/tweets/{uuid4()}/opinions", json=like).status_code == 404
    assert api.post(f"/tweets/{id}/opinions", json={**like, "bot": "right"}).status_code == 404
    assert api.post(f"/tweets/{id}/opinions", json={**like, "opinion": "love"}).status_code == 400


def test_a_model_server_is_wanted_while_it_is_asked(api: httpx.Client, model: Server, connection: Connection) -> None:
    seen: list[Any] = []

    def look(body: dict[str, Any]) -> Any:
        seen.extend(connection.execute("SELECT bot, what FROM wanted").fetchall())
        return answer(body)

    model.script = [look]
    assert ask(api).status_code == 200
    assert ("left", "play") in seen
    assert connection.execute("SELECT count(*) FROM wanted").fetchone() == (0,)


def test_an_answer_whose_writer_was_killed_is_written_by_the_next(api: httpx.Client, connection: Connection) -> None:
    ask(api)
    connection.execute(
        "UPDATE answers SET state = 'writing', answered_at = NULL, texts = '[]', holder = gen_random_uuid(),"
        " expires_at = clock_timestamp() - interval '1 second'"
    )
    assert ask(api).json()["texts"]


def test_what_ends_lets_go_of_what_it_writes(
    settings: Settings, bots: dict[str, Bot], model: Server, connection: Connection
) -> None:
    with replica(settings, bots) as api:
        for prompt in "abcdef":
            ask(api, prompt, wait=0)
    with replica(settings, bots) as other:
        found = ask(other, "f")
    assert found.status_code == 200
    assert found.json()["texts"]


def test_who_waits_for_what_another_let_go_of_is_answered(
    settings: Settings, bots: dict[str, Bot], model: Server, connection: Connection
) -> None:
    """By the replica that is asked: it writes the answer itself. Where all that it knows is an id, it says so."""
    gone = threading.Event()
    model.script = [(200, {"versions": [MODEL]}), lambda _: (200, endless([], gone)), answer]
    with replica(settings, bots) as other, ThreadPoolExecutor(1) as people:
        with replica(settings, bots) as api:
            id = ask(api, wait=0).json()["id"]
            give_up = time.monotonic() + 10
            while not other.get(f"/tweets/{id}", params={"bot": "left"}).json()["texts"]:
                assert time.monotonic() < give_up
            waits = people.submit(ask, other, "Love", wait=20)
            while connection.execute("SELECT askers FROM answers").fetchone() != (2,):
                assert time.monotonic() < give_up
        assert gone.wait(5)  # the model writes no more for the one that ended
        found = waits.result()
        assert (found.status_code, found.json()["id"]) == (200, id)
        connection.execute(
            "UPDATE answers SET state = 'writing', answered_at = NULL, expires_at = clock_timestamp()"
        )  # its writer was killed, a minute ago
        found = other.get(f"/tweets/{id}", params={"bot": "left"})
        assert (found.status_code, found.json()["error"]) == (503, "whoever wrote it has ended: ask again")
        assert ask(other).status_code == 200


def test_nobody_wakes_a_server_for_who_has_stopped(
    settings: Settings, bots: dict[str, Bot], connection: Connection
) -> None:
    asleep = bots["left"].model_copy(update={"serve": Serve(replicas=0)})
    with replica(replace(settings, endpoint="http://127.0.0.1:1"), {"left": asleep}) as api:
        asked = ask(api, wait=1)
        assert (asked.status_code, asked.json()["phase"]) == (202, "waking the model")
        assert connection.execute("SELECT bot FROM wanted").fetchall() == [("left",)]
        where = f"/tweets/{asked.json()['id']}"
        api.post(f"{where}/stop")
        give_up = time.monotonic() + 10
        while (found := api.get(where)).status_code == 202:
            assert time.monotonic() < give_up
        assert found.json()["error"] == "nobody waits for it any more"
        assert connection.execute("SELECT bot FROM wanted").fetchall() == []


def test_a_bot_without_a_server_answers_what_it_knows(
    settings: Settings, bots: dict[str, Bot], model: Server, connection: Connection
) -> None:
    left = bots["left"].model_copy(update={"serve": Serve(mode="none")})
    with replica(settings, {"left": left}) as api:  # there is one where the operator says
        assert ask(api).status_code == 200
    endpoints = replace(settings, endpoint="http://{bot}")
    with replica(endpoints, {"left": left}) as api:
        assert ask(api).status_code == 200
        new = ask(api, "Hate")
        page = api.get("/play", params={"prompt": "Hate"}).text
    says = "left has no model server (serve.mode none): it answers known prompts alone"
    assert (new.status_code, new.json()["error"]) == (503, says)
    assert says in page
    assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)


@pytest.mark.slow
def test_without_postgres_it_says_so(api: httpx.Client, postgres: str, database_url: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        found = ask(api)
        assert (found.status_code, found.json()["error"]) == (503, "Postgres does not answer: ask again in a moment")
        assert api.get("/health/ready").status_code == 503
        assert api.get("/health/live").status_code == 200
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    give_up = time.monotonic() + 20
    while ask(api).status_code != 200:
        assert time.monotonic() < give_up


def test_texts_stream_in_as_they_are_written(api: httpx.Client, model: Server) -> None:
    slow = threading.Event()
    model.script = [(200, {"versions": [MODEL]}), lambda body: (slow.wait(20), answer(body))[1]]
    with api.stream("GET", "/tweets/stream", params={"prompt": "Love", "bot": "left", "num_samples": 4}) as found:
        lines = (json.loads(line) for line in found.iter_lines())
        first = next(lines)
        assert (first["state"], first["prompt"], first["texts"]) == ("writing", "Love", [])
        slow.set()
        *_, last = lines
    assert last["state"] == "written"
    assert [text["text"] for text in last["texts"]] == ["Love is a fine thing to have.", "Love is old and new."]


def endless(written: list[int], gone: threading.Event) -> Iterator[bytes]:
    """A text that does not end while somebody reads it."""
    try:
        while True:
            time.sleep(0.05)
            written.append(1)
            event = {"choices": [{"index": 0, "text": " on", "finish_reason": None}]}
            yield f"data: {json.dumps(event)}\n\n".encode()
    finally:
        gone.set()


def test_who_stops_ends_it_at_the_server_unless_another_waits(
    api: httpx.Client, settings: Settings, bots: dict[str, Bot], model: Server
) -> None:
    gone = threading.Event()
    written: list[int] = []
    model.script = [(200, {"versions": [MODEL]}), lambda _: (200, endless(written, gone))]
    first = ask(api, wait=0).json()
    second = ask(api, wait=1.5).json()
    assert second["id"] == first["id"]
    assert second["texts"][0]["unfinished"] is True
    assert second["texts"][0]["text"].startswith("Love on on")
    assert api.post(f"/tweets/{first['id']}/stop", params={"bot": "left"}).json() == {"stopped": True}
    assert not gone.wait(1.5)
    assert api.post(f"/tweets/{first['id']}/stop", params={"bot": "left"}).json() == {"stopped": True}
    assert gone.wait(10)
    give_up = time.monotonic() + 10
    while (found := api.get(f"/tweets/{first['id']}", params={"bot": "left"})).status_code == 202:
        assert time.monotonic() < give_up
    assert found.json()["error"] == "nobody waits for it any more"
    assert api.post(f"/tweets/{first['id']}/stop", params={"bot": "left"}).json() == {"stopped": False}
    model.script = [answer]
    assert ask(api).status_code == 200
