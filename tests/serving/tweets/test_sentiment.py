"""Texts carry how they sound, in the languages where that was measured; `majority` shows those that sound as most."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mynah.database.connection import Connection
from mynah.database.prompts import Answer
from serving.tweets.sentiment import MEASURED, answers, felt, sentiment
from serving.tweets.told import shape
from tests.bench.sentiment import accuracy, labelled, macro_f1
from tests.scripted import Server
from tests.serving.tweets.conftest import MODEL, Standing, said
from tests.serving.tweets.conftest import answer as usual

CAT = (
    " is a wonderful friend and I love it.",
    " is a terrible beast, and I hate it.",
    " makes me happy every single day.",
    " sleeps on the table in the kitchen.",
)
KATZE = (" schläft auf dem Tisch in der Küche.", " ist ein wunderbarer Freund, und ich liebe sie sehr.")


@pytest.mark.parametrize(
    ("language", "text", "sounds"),
    [
        ("en", "I love this day", "positive"),
        ("en", "I do not love this day", "negative"),
        ("en", "The train goes at nine", "neutral"),
        ("en", "The train goes at nine 😍", "positive"),
        ("en", "", "neutral"),
        ("ru", "Я люблю этот день", "positive"),
        ("ru", "Я не люблю этот день", "negative"),
        ("ru", "Это не очень хорошая идея", "negative"),
        ("ru", "Это не плохая идея", "neutral"),
        ("ru", "Не думаю, хороший день", "positive"),
        ("ru", "Какой ужасный день", "negative"),
        ("ru", "КАКОЙ УЖАААСНЫЙ ДЕНЬ", "negative"),
        ("ru", "Поезд идёт в девять", "neutral"),
        ("ru", "Поезд идёт в девять 😍", "positive"),
        ("ru", "Поезд идёт в девять 😭😭", "negative"),
        ("ru", "Поезд идёт в девять ((", "negative"),
        ("ru", "Поезд идёт (в девять)", "neutral"),
        ("ru", "Поезд идёт в девять))", "neutral"),
        ("ru", "@ужас https://example.com/ужас", "neutral"),
        ("ru", "Пришёл козёл", "negative"),
        ("ru", "Пришли козлята", "neutral"),  # a word that only begins like one of the list
        ("ru", "", "neutral"),
    ],
)
def test_how_a_text_sounds(language: str, text: str, sounds: str) -> None:
    assert sentiment(text, language) == sounds


@pytest.mark.parametrize("language", sorted(MEASURED))
@examples(max_examples=30)
@given(text=st.text() | st.text("не нет хорошо плохо()!?.,😍 not good BUT kind of :-) ", max_size=60))
def test_any_text_sounds_somehow(language: str, text: str) -> None:
    assert sentiment(text, language) in ("positive", "neutral", "negative")


def test_another_language_has_none() -> None:
    with pytest.raises(KeyError):
        sentiment("Ich liebe dich", "de")


@pytest.mark.parametrize(("language", "accurate", "f1"), [("en", 0.80, 0.68), ("ru", 0.67, 0.655)])
def test_it_is_as_good_as_it_was_measured(shared: Path, language: str, accurate: float, f1: float) -> None:
    """On the half that nothing was chosen on; docs/playing.md has the figures."""
    rows = labelled(language)[1::2]
    told = [sentiment(text, language) for _, text in rows]
    assert accuracy(rows, told) >= accurate
    assert macro_f1(rows, told) >= f1


def texts(*sounds: str) -> list[dict[str, Any]]:
    return [{"text": "x", "language": "en", "sentiment": sound} for sound in sounds]


def test_the_majority_is_what_most_texts_sound_like() -> None:
    assert answers(texts("neutral", "positive", "positive")) == {"language": "en", "majority": "positive"}


def test_of_equally_many_the_best_texts_sentiment_counts() -> None:
    assert answers(texts("neutral", "negative", "positive", "positive", "negative"))["majority"] == "negative"
    assert answers(texts("positive", "negative"))["majority"] == "positive"


def test_the_language_is_the_declared_one_or_a_guess() -> None:
    german = [{"text": "Eine Katze schläft auf dem Tisch in der Küche."}]
    assert felt(german, ["en"]) == [{**german[0], "language": "en", "sentiment": "neutral"}]
    assert felt(german, ["de"]) == felt(german, ["de", "en"]) == felt(german, []) == [{**german[0], "language": "de"}]
    russian = felt([{"text": "Какой сегодня прекрасный день"}, {"text": "Всё плохо"}], [])
    assert [(text["language"], text["sentiment"]) for text in russian] == [("ru", "positive"), ("ru", "negative")]
    assert felt([], []) == []


@pytest.mark.parametrize(
    ("stored", "language", "off"),
    [
        ([], None, "there is no text"),
        ([{"text": "x"}], None, "this answer was written before sentiment was told"),
        ([{"text": "x", "language": None}], None, "it is not clear which language the texts are in"),
        ([{"text": "x", "language": "de"}], "de", "there is no measured sentiment for de"),
    ],
)
def test_why_there_is_none(stored: list[dict[str, Any]], language: str | None, off: str) -> None:
    now = datetime.now(UTC)
    shown = shape("left", Answer(uuid4(), MODEL, "written", "", stored, None, now, 0), "x", majority=True)
    assert shown["sentiment"] == {"language": language, "off": off}
    assert len(shown["texts"]) == len(stored)  # all are shown


def test_the_majority_is_a_view_of_one_answer(api: httpx.Client, model: Server, connection: Connection) -> None:
    model.script = [lambda body: said(list(CAT)) if "prompt" in body else usual(body)]
    query = {"prompt": "My cat", "bot": "left", "num_samples": 4}
    few = api.get("/tweets", params={**query, "majority": "true"}).raise_for_status().json()
    whole = api.get("/tweets", params=query).raise_for_status().json()
    assert api.get("/tweets", params={**query, "majority": "false"}).json() == whole
    assert (few["id"], sum(body.get("n", 0) for body in model.asked)) == (whole["id"], 4)
    assert few["sentiment"] == whole["sentiment"] == {"language": "en", "majority": "positive"}
    assert {text["text"]: text["sentiment"] for text in whole["texts"]} == dict(
        zip((f"My cat{end}" for end in CAT), ("positive", "negative", "positive", "neutral"), strict=True)
    )
    assert [text["place"] for text in whole["texts"]] == [0, 1, 2, 3]
    assert few["texts"] == [text for text in whole["texts"] if text["sentiment"] == "positive"]
    assert few["says"] == "2 of 4 texts, those that sound positive, the best first"

    by_id = {"bot": "left", "majority": "true"}
    assert api.get(f"/tweets/{whole['id']}", params=by_id).json()["texts"] == few["texts"]
    for stream in (f"/tweets/{whole['id']}/stream", "/tweets/stream"):
        found = api.get(stream, params={**by_id, **(query if stream == "/tweets/stream" else {})})
        assert json.loads(found.text)["texts"] == few["texts"]
    instances = [{"prompt": "My cat", "num_samples": 4, "majority": majority} for majority in (True, False)]
    predictions = api.post("/v1/models/left:predict", json={"instances": instances}).json()["predictions"]
    assert [each["texts"] for each in predictions] == [few["texts"], whole["texts"]]

    # An opinion of a text names it by its place among all, not among those that are shown.
    negative = next(text["place"] for text in whole["texts"] if text["sentiment"] == "negative")
    connection.execute(  # as if most were negative, and the best one were not
        'UPDATE answers SET texts = (SELECT jsonb_agg(CASE WHEN place = 1 THEN text ELSE text || \'{"sentiment": '
        '"negative"}\' END) FROM jsonb_array_elements(texts) WITH ORDINALITY AS of (text, place))'
    )
    shown = api.get(f"/tweets/{whole['id']}", params=by_id).json()["texts"]
    assert negative in [text["place"] for text in shown]
    like = {"bot": "left", "place": shown[-1]["place"], "opinion": "like"}
    assert api.post(f"/tweets/{whole['id']}/opinions", json=like).status_code == 201
    row = connection.execute("SELECT place, texts->place->>'text' FROM opinions JOIN answers ON answers.id = answer_id")
    assert row.fetchall() == [(3, shown[-1]["text"])]


def test_until_it_is_written_the_majority_is_not_known_but_kept_in_mind(api: httpx.Client, model: Server) -> None:
    found = api.get("/tweets", params={"prompt": "Love", "bot": "left", "wait": 0, "majority": "true"})
    assert found.status_code == 202
    assert "sentiment" not in found.json()
    assert found.headers["location"].endswith("?bot=left&majority=true")
    *_, last = api.get(f"/tweets/{found.json()['id']}/stream", params={"bot": "left", "majority": "true"}).iter_lines()
    assert json.loads(last)["sentiment"] == {"language": "en", "majority": "positive"}


def test_a_language_without_a_measured_one_is_off(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing.model, "script", [lambda body: said(list(KATZE)) if "prompt" in body else usual(body)])
    query = {"prompt": "Die Katze", "bot": "left", "num_samples": 2, "majority": "true"}
    found = standing.api.get("/tweets", params=query).raise_for_status().json()
    assert found["sentiment"] == {"language": "de", "off": "there is no measured sentiment for de"}
    assert len(found["texts"]) == 2
    assert not any("sentiment" in text or "language" in text for text in found["texts"])


@pytest.mark.parametrize("route", ["/tweets", "/tweets/stream"])
def test_what_majority_may_be(standing: Standing, route: str) -> None:
    found = standing.api.get(route, params={"prompt": "x", "bot": "left", "majority": "x"})
    assert (found.status_code, found.json()["error"]) == (400, "majority: 'x' is not true or false")
    assert standing.model.asked == []


def test_what_majority_may_be_in_v1(standing: Standing) -> None:
    asked = {"instances": [{"prompt": "x", "majority": 1}]}
    found = standing.api.post("/v1/models/left:predict", json=asked)
    assert (found.status_code, found.json()["error"]) == (400, "majority: 1 is not true or false")
