"""The Play page as a browser without JavaScript gets it. tests/serving/tweets/test_browser.py has the rest."""

import re
import time
from typing import Any

import httpx
import psycopg
import pytest
from lxml import html
from starlette.testclient import TestClient

from mynah.bot import Bot
from mynah.database.connection import Connection
from mynah.settings import Settings
from serving.tweets.app import application
from serving.tweets.desk import Desk
from serving.tweets.page import AWAY
from tests.scripted import Server
from tests.serving.tweets.conftest import Standing, answer, answered, replica, said

BOTH = [("bot", "left"), ("bot", "right")]
FELT = [
    {"text": text, "language": "en", "sentiment": sentiment}
    for text, sentiment in (("Felt good.", "positive"), ("Felt bad.", "negative"), ("Felt well.", "positive"))
]
SCRIPTS = ["static/play.js", "static/known.js"]


def page(api: httpx.Client, path: str = "/play", status: int = 200, **query: Any) -> Any:
    found = api.get(path, params=query or None)
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    return html.fromstring(found.text)


def texts(document: Any) -> list[str]:
    return [" ".join(card.text_content().split()) for card in document.cssselect("section .card p")]


def written(api: httpx.Client, **query: Any) -> Any:
    """The page once all is written: it reloads itself until then."""
    give_up = time.monotonic() + 20
    document = page(api, **query)
    while document.cssselect("section[data-state=writing]"):
        assert document.cssselect("noscript")[0].getparent().tag == "head"
        (refresh,) = document.cssselect("noscript meta[http-equiv=refresh]")
        seconds, _, where = refresh.get("content").partition(";url=")
        assert seconds == "2"
        assert time.monotonic() < give_up
        time.sleep(0.1)
        document = page(api, f"/{where}")
    return document


def test_a_page_that_waits_counts_one_visit(api: httpx.Client, connection: Connection) -> None:
    written(api, bot="left", prompt="Love")
    assert connection.execute("SELECT visits FROM prompts").fetchone() == (1,)


def test_a_prompt_box_with_everything_to_begin_with(api: httpx.Client, model: Server, bots: dict[str, Bot]) -> None:
    document = page(api)
    assert document.cssselect("form input[name=prompt]")[0].get("value") == ""
    assert [box.get("value") for box in document.cssselect("input[name=bot][checked]")] == ["left", "right"]
    assert not document.cssselect("section")
    assert document.cssselect("form details")[0].get("open") is None
    values = {box.get("name"): box.get("value") for box in document.cssselect("input[type=number]")}
    assert values == {"num_samples": "20", "length": "60", "temperature": "0.7", "top_p": "0.9", "top_k": "40"}
    assert model.asked == []


def test_the_texts_of_a_bot_in_cards(api: httpx.Client) -> None:
    document = written(api, bot="left", prompt="Love")
    assert texts(document) == ["Love is a fine thing to have.", "Love is old and new."]
    (column,) = document.cssselect("section")
    assert column.cssselect("h2")[0].text == "left"
    assert column.cssselect("[role=status]")[0].text == "2 texts, the best first"
    assert column.cssselect(".weight")[0].text_content().strip() == "29 of 280"
    assert not [button for button in column.cssselect("button") if not hidden(button)]


def test_several_bots_side_by_side_and_what_one_lacks_in_words(api: httpx.Client) -> None:
    document = written(api, bot=["left", "right"], prompt="Love")
    said_by = {
        column.get("data-bot"): column.cssselect("[role=status]")[0].text for column in document.cssselect("section")
    }
    assert said_by == {"left": "2 texts, the best first", "right": "right has no model yet: promote one"}


def test_a_link_restores_the_state(api: httpx.Client) -> None:
    query = {"bot": "left", "prompt": "Love", "temperature": "1.2", "num_samples": "4"}
    document = written(api, **query)
    assert document.cssselect("input[name=prompt]")[0].get("value") == "Love"
    assert [box.get("value") for box in document.cssselect("input[name=bot][checked]")] == ["left"]
    assert document.cssselect("input[name=temperature]")[0].get("value") == "1.2"
    assert document.cssselect("form details")[0].get("open") is not None


def test_what_somebody_typed_is_no_html(api: httpx.Client, model: Server) -> None:
    model.script = [lambda body: said([" <b>is</b> & will be."]) if "prompt" in body else answer(body)]
    document = written(api, bot="left", prompt='"><script>alert(1)</script>', num_samples=1)
    assert [script.get("src").partition("?")[0] for script in document.cssselect("script")] == SCRIPTS
    assert document.cssselect("input[name=prompt]")[0].get("value") == '"><script>alert(1)</script>'
    assert texts(document) == ['"><script>alert(1)</script> <b>is</b> & will be.']


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"bot": "left", "prompt": "x" * 101}, "prompt: it has 101 characters, and 100 are the most"),
        ({"bot": "left", "prompt": "x", "top_k": "many"}, "top_k: 'many' is not a valid integer"),
        ({"bot": "nobody", "prompt": "x"}, "there is no bot named nobody; there are left, right"),
    ],
)
def test_a_mistake_is_told_beside_the_field(standing: Standing, query: dict[str, str], says: str) -> None:
    document = page(standing.api, status=400, **query)
    assert document.cssselect("[role=alert]")[0].text.startswith(says)
    assert not document.cssselect("section")


def shown(document: Any, selector: str) -> list[str]:
    return [" ".join(node.text_content().split()) for node in document.cssselect(f"section {selector}")]


def hidden(node: Any) -> bool:
    return any(each.get("hidden") is not None for each in (node, *node.iterancestors()))


def test_sentiments_in_sign_and_word_and_how_many_there_are(standing: Standing) -> None:
    answered(standing.connection, "left", "Felt", FELT)
    document = page(standing.api, bot="left", prompt="felt")
    assert shown(document, ".card .sentiment") == ["+ positive", "− negative", "+ positive"]
    assert shown(document, ".legend li") == ["+ 2 positive", "= 0 neutral", "− 1 negative"]
    assert document.cssselect("section ol[lang=en]")
    assert hidden(document.cssselect(".off")[0])
    document = page(standing.api, bot="left", prompt="felt", majority="true")
    assert shown(document, "[role=status]") == ["2 of 3 texts, those that sound positive, the best first"]
    assert [card.get("data-place") for card in document.cssselect("section .card")] == ["0", "2"]
    assert hidden(document.cssselect(".legend")[0])
    assert document.cssselect("input[name=majority][checked]")
    assert document.cssselect(".share a")[0].get("href") == "play?prompt=felt&bot=left&majority=true"
    wrong = page(standing.api, status=400, bot="left", prompt="felt", majority="perhaps")
    assert wrong.cssselect("[role=alert]")[0].text == "majority: 'perhaps' is not true or false"


def test_why_there_is_no_sentiment(standing: Standing) -> None:
    answered(standing.connection, "left", "Gefühlt", [{"text": "Gefühlt ist es kalt.", "language": "de"}])
    document = page(standing.api, bot="left", prompt="gefühlt")
    assert shown(document, ".off") == ["there is no measured sentiment for de"]
    assert hidden(document.cssselect(".legend")[0])
    assert document.cssselect("section ol[lang=de]")


def test_without_postgres_the_page_says_so(bots: dict[str, Bot], settings: Settings) -> None:
    def connect() -> Any:
        return psycopg.connect("host=127.0.0.1 port=1")  # nobody listens there

    desk = Desk(settings, bots, connect)
    with TestClient(application(desk, connect)) as api:
        document = page(api, bot="left", prompt="Love")
        assert document.cssselect("section [role=status]")[0].text == AWAY
        assert page(api, bot="left").cssselect("form")


def test_prompts_to_try(settings: Settings, bots: dict[str, Bot], connection: Connection) -> None:
    generate = bots["left"].generate.model_copy(update={"prompts": ["Life is ", "", "Never "]})
    bots["left"] = bots["left"].model_copy(update={"generate": generate})
    for key in ("why do cats", "never"):
        connection.execute("INSERT INTO prompts (bot, key, shown) VALUES ('left', %s, true)", [key])
    with replica(settings, bots) as api:
        document = page(api, bot="left")
    links = {link.text: link.get("href") for link in document.cssselect("nav a")}
    assert links == {
        "Life is": "play?prompt=Life+is&bot=left",
        "Never": "play?prompt=Never&bot=left",
        "why do cats": "play?prompt=why+do+cats&bot=left",
    }


def test_nothing_comes_from_elsewhere_and_no_script_is_in_the_page(standing: Standing) -> None:
    found = standing.api.get("/play", params={"bot": "left", "prompt": "Love"})
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "set-cookie" not in found.headers
    assert not re.search(r"https?://|\son\w+=|\sstyle=|<style|javascript:", found.text)
    kinds = {"play.css": "text/css", "play.js": "text/javascript", "known.js": "text/javascript"}
    for name, kind in (kinds | {"mynah.svg": "image/svg+xml"}).items():
        file = standing.api.get(f"/static/{name}")
        assert file.headers["content-type"].startswith(kind)
        assert not re.search(r"\beval\b|innerHTML|new Function", file.text)


def test_a_blog_may_frame_the_embedded_page_and_no_other(standing: Standing) -> None:
    found = standing.api.get("/embed/left", params={"prompt": "Love"})
    assert "frame-ancestors *" in found.headers["content-security-policy"]
    document = html.fromstring(found.text)
    assert document.cssselect("body.embedded form")[0].get("action") == "left"
    assert [script.get("src").partition("?")[0] for script in document.cssselect("script")] == [
        f"../{script}" for script in SCRIPTS
    ]
    assert not document.cssselect("header, fieldset")
    assert standing.api.get("/embed/nobody").status_code == 404


def test_it_begins_at_the_root(standing: Standing) -> None:
    assert standing.api.get("/").headers["location"] == "play"
