"""The Play page as people use it, in Chromium: by mouse, by keys alone, without JavaScript, on a phone, in a blog.

Whatever a test does, the page sets no cookie, stores nothing, asks no other host, and keeps its own security policy.
"""

import json
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from mynah.bot import Generate
from mynah.database import served
from mynah.database.connection import Connection, connect
from tests.loopback import served_by
from tests.postgres import database
from tests.scripted import Server, scripted
from tests.serving.tweets import browser as programs
from tests.serving.tweets.conftest import MODEL, answered, replica, said, settings_of, two_bots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(programs.PROGRAM is None, reason=programs.MISSING),
]
TWO = [" is a fine thing to have.", " is old and new."]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
FEELINGS = [
    {"text": text, "language": "en", "sentiment": sentiment}
    for text, sentiment in (
        ("Hope is a thing with feathers.", "positive"),
        ("Hope is late again.", "negative"),
        ("Hope is a village in Derbyshire.", "neutral"),
        ("Hope is good company.", "positive"),
    )
]
WATCH = """
addEventListener("securitypolicyviolation", e => violated(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
"""


def answer(body: dict[str, Any]) -> Any:
    """What the model server says: which model it serves, and two texts at once."""
    return said(TWO) if "prompt" in body else (200, {"versions": [MODEL]})


@dataclass(frozen=True)
class Stage:
    """A page for `left` and `right`, which have a model, and `mute`, which has none."""

    url: str
    model: Server
    connection: Connection
    gone: threading.Event
    """The model's client has hung up, or the test has ended."""


@pytest.fixture(scope="module")
def whole_stage(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("home")
    with database(postgres, "browser") as url, scripted() as model:
        model.script = [answer]
        with connect(url, home) as connection:
            bots = two_bots(connection)
            bots["left"] = bots["left"].model_copy(update={"generate": Generate(prompts=["Life ", "Never"])})
            bots["mute"] = bots["right"].model_copy(update={"name": "mute"})
            served.carry_out(connection, served.ask(connection, "right", MODEL, "a test").id)
            with replica(settings_of(home, url, model), bots) as client:
                yield Stage(str(client.base_url), model, connection, threading.Event())


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    whole_stage.model.script = [answer]
    whole_stage.gone.clear()
    yield whole_stage
    whole_stage.gone.set()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with programs.browser() as started:
        yield started


@pytest.fixture
def come(chromium: Browser, stage: Stage) -> Iterator[Callable[..., Page]]:
    """Opens a page as somebody who was never here: `path`, then options of a browser's context."""
    wrong: list[str] = []
    contexts = []

    def open_page(path: str = "/play", **options: Any) -> Page:
        context = chromium.new_context(**({"viewport": DESK} | options), base_url=stage.url)
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.expose_function("violated", lambda what: wrong.append(what))
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(stage.url) or wrong.append(asked.url))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        kept = context.storage_state()
        assert (kept["cookies"], kept["origins"]) == ([], [])
        context.close()
    assert wrong == []


def one(page: Page, bot: str = "left") -> Any:
    return page.locator(f"section[data-bot={bot}]")


def phase(page: Page, bot: str = "left") -> Any:
    return one(page, bot).get_by_role("status").first


def cards(page: Page, bot: str = "left") -> Any:
    return one(page, bot).locator(".card > p")


def query(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query)


def write(page: Page, prompt: str) -> None:
    page.get_by_label("Begin with").fill(prompt)
    page.get_by_role("button", name="Write").click()


def event(n: int, text: str, finish: str | None = None) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': n, 'text': text, 'finish_reason': finish}]})}\n\n".encode()


def in_two_steps(go_on: threading.Event) -> Generator[bytes]:
    """A whole text and the beginning of another; the rest when told to go on."""
    yield event(0, " a hug in a cup.", "stop")
    yield event(1, " warm and")
    go_on.wait(20)
    yield event(1, " wet, and that is all.", "stop")
    yield b"data: [DONE]\n\n"


def endless(gone: threading.Event) -> Generator[bytes]:
    """A text without an end, until the client hangs up."""
    try:
        while not gone.wait(0.05):
            yield event(0, " on")
    finally:
        gone.set()


def slowly(pieces: Callable[[threading.Event], Generator[bytes]], event: threading.Event) -> Callable[..., Any]:
    return lambda body: (200, pieces(event)) if "prompt" in body else answer(body)


def test_cards_stream_in_while_they_are_written(come: Callable[..., Page], stage: Stage) -> None:
    go_on = threading.Event()
    stage.model.script = [slowly(in_two_steps, go_on)]
    page = come("/play?bot=left")
    write(page, "Tea is")
    expect(cards(page)).to_have_text(["Tea is a hug in a cup.", "Tea is warm and"])
    expect(phase(page)).to_have_text("writing")
    expect(one(page).locator(".seconds")).to_have_text("2 s")
    whole, unfinished = one(page).locator(".card").all()
    expect(whole.locator(".weight")).to_have_text("22 of 280")
    expect(unfinished).to_have_class("card unfinished")
    expect(one(page).get_by_role("button", name="Like")).to_have_count(0)
    element = whole.element_handle()
    go_on.set()
    expect(phase(page)).to_have_text("2 texts, the best first")
    expect(one(page).locator(".unfinished")).to_have_count(0)
    assert sorted(cards(page).all_inner_texts()) == ["Tea is a hug in a cup.", "Tea is warm and wet, and that is all."]
    assert element.evaluate("card => card.isConnected")  # it is the same card, whatever place it has now
    expect(one(page).get_by_role("button", name="Stop")).to_be_hidden()
    assert query(page) == [("prompt", "Tea is"), ("bot", "left")]
    visits = "SELECT visits FROM prompts WHERE key = 'tea is'"
    assert stage.connection.execute(visits).fetchall() == [(1,)]


def test_stop_ends_the_writing_at_the_server(come: Callable[..., Page], stage: Stage) -> None:
    stage.model.script = [slowly(endless, stage.gone)]
    page = come("/play?bot=left")
    write(page, "Stop")
    expect(cards(page)).to_contain_text("Stop on on")
    one(page).get_by_role("button", name="Stop").click()
    expect(phase(page)).to_have_text("stopped")
    again = one(page).get_by_role("button", name="Again")
    expect(again).to_be_focused()
    assert stage.gone.wait(10)
    found = "SELECT askers, why FROM answers JOIN prompts ON prompts.id = prompt_id WHERE key = 'stop'"
    for _ in range(100):
        if stage.connection.execute(found).fetchone() == (0, "nobody waits for it any more"):
            break
        page.wait_for_timeout(50)
    else:
        pytest.fail(str(stage.connection.execute(found).fetchone()))
    stage.model.script = [answer]
    page.keyboard.press("Enter")
    expect(phase(page)).to_have_text("2 texts, the best first")


def test_the_phase_tells_how_many_are_before_one(come: Callable[..., Page], stage: Stage) -> None:
    stage.model.script = [slowly(endless, stage.gone)]
    first = come("/play?bot=left&prompt=First")
    expect(phase(first)).to_have_text("writing")
    second = come("/play?bot=left&prompt=Second")
    expect(phase(second)).to_have_text("writing, 1 before you")
    for page in (first, second):
        one(page).get_by_role("button", name="Stop").click()
    assert stage.gone.wait(10)


def test_known_prompts_are_suggested(come: Callable[..., Page], stage: Stage) -> None:
    for bot, key in (("left", "why cats purr"), ("left", "why dogs bark"), ("right", "why not"), ("mute", "why me")):
        insert = "INSERT INTO prompts (bot, key, shown) VALUES (%s, %s, true)"
        stage.connection.execute(insert, [bot, key])
    page = come("/play?bot=left&bot=right")
    box = page.get_by_role("combobox", name="Begin with")
    options = page.get_by_role("option")
    box.press_sequentially("Why")
    expect(options).to_have_text(["why cats purr", "why dogs bark", "why not"])
    expect(box).to_have_attribute("aria-expanded", "true")
    for key, text in (("ArrowDown", "why cats purr"), ("ArrowUp", "why not"), ("ArrowDown", "why cats purr")):
        box.press(key)
        expect(page.locator("[role=option][aria-selected=true]")).to_have_text(text)
        selected = page.locator("[role=option][aria-selected=true]").get_attribute("id")
        expect(box).to_have_attribute("aria-activedescendant", str(selected))
    box.press("Escape")
    expect(options).to_have_count(0)
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_have_value("Why")
    box.press("ArrowDown")  # asks for them again
    expect(options).to_have_count(3)
    box.press("ArrowDown")
    box.press("ArrowDown")
    box.press("Enter")
    expect(phase(page)).to_have_text("2 texts, the best first")
    assert dict(query(page))["prompt"] == "why dogs bark"
    box.fill("why c")
    page.get_by_role("option", name="why cats purr").click()
    expect(page).to_have_title("why cats purr · left, right")
    box.fill("nobody has asked this")
    page.wait_for_timeout(300)
    expect(options).to_have_count(0)


def test_by_keys_alone_from_a_prompt_to_a_like(come: Callable[..., Page], stage: Stage) -> None:
    page = come("/play?bot=left")
    page.keyboard.type("Keys are")  # the box has the focus
    page.keyboard.press("Enter")
    expect(phase(page)).to_have_text("2 texts, the best first")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the texts")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    like = one(page).get_by_role("button", name="Like").first
    expect(like).to_be_focused()
    page.keyboard.press("Space")
    expect(like).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")  # it is liked already
    assert opinions(stage, "keys are") == [(0, "like", "")]


def test_a_report_takes_a_reason(come: Callable[..., Page], stage: Stage) -> None:
    answered(stage.connection, "left", "Hope", FEELINGS)
    page = come("/play?bot=left&prompt=hope")
    second = one(page).locator(".card").nth(1)
    report = second.get_by_role("button", name="Report").first
    report.click()
    reason = second.get_by_label("What is wrong with it?")
    expect(reason).to_be_focused()
    page.keyboard.press("Escape")
    expect(reason).to_have_count(0)
    expect(report).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("It is unkind to trains.")
    page.keyboard.press("Enter")
    expect(report).to_be_focused()
    expect(report).to_have_attribute("aria-pressed", "true")
    expect(second.locator("output")).to_have_text("Reported, thank you")
    assert opinions(stage, "hope") == [(1, "report", "It is unkind to trains.")]


def opinions(stage: Stage, key: str) -> list[tuple[Any, ...]]:
    return stage.connection.execute(
        "SELECT place, opinion, reason FROM opinions JOIN answers ON answers.id = answer_id "
        "JOIN prompts ON prompts.id = prompt_id WHERE key = %s",
        [key],
    ).fetchall()


def test_bots_side_by_side_and_one_enlarged(come: Callable[..., Page], stage: Stage) -> None:
    page = come()
    write(page, "Both")
    for bot in ("left", "right"):
        expect(phase(page, bot)).to_have_text("2 texts, the best first")
    expect(phase(page, "mute")).to_have_text("mute has no model yet: promote one")
    left, right = one(page, "left").bounding_box(), one(page, "right").bounding_box()
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] < right["x"]
    enlarge = one(page, "right").get_by_role("button", name="Enlarge")
    enlarge.click()
    expect(enlarge).to_have_attribute("aria-pressed", "true")
    expect(one(page, "left")).to_be_hidden()
    assert one(page, "right").bounding_box()["width"] > 2 * right["width"]
    enlarge.click()
    expect(one(page, "left")).to_be_visible()


def test_a_link_restores_the_state_and_nothing_else(come: Callable[..., Page], stage: Stage) -> None:
    page = come()
    page.get_by_text("More").click()
    page.get_by_label("Temperature").fill("1.2")
    page.get_by_label("Texts").fill("4")
    page.get_by_label("right", exact=True).uncheck()
    page.get_by_label("mute", exact=True).uncheck()
    write(page, "Müsli & milk")
    expect(phase(page)).to_have_text("2 texts, the best first")
    state = [("prompt", "Müsli & milk"), ("bot", "left"), ("num_samples", "4"), ("temperature", "1.2")]
    assert sorted(query(page)) == sorted(state)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Link to this page").click()
    expect(page.locator(".share output")).to_have_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert sorted(parse_qsl(urlsplit(link).query)) == sorted(state)
    asked = len(stage.model.asked)
    other = come(link)
    expect(other.get_by_label("Begin with")).to_have_value("Müsli & milk")
    expect(other.get_by_label("Temperature")).to_have_value("1.2")
    expect(other.get_by_label("Texts")).to_have_value("4")
    ticked = [box.get_attribute("value") for box in other.get_by_role("checkbox", checked=True).all()]
    assert ticked == ["left"]
    assert cards(other).all_inner_texts() == cards(page).all_inner_texts()
    assert len(stage.model.asked) == asked


def test_prompts_to_try(come: Callable[..., Page], stage: Stage) -> None:
    stage.connection.execute(
        "INSERT INTO prompts (bot, key, visits) VALUES ('right', 'often', 3), ('right', 'rare', 2)"
    )
    page = come("/play?bot=left&bot=right")
    try_these = page.get_by_role("navigation", name="Prompts to try")
    expect(try_these.get_by_role("link", name="rare")).to_have_count(0)
    try_these.get_by_role("link", name="often").click()
    expect(page.get_by_label("Begin with")).to_have_value("often")
    page.go_back()
    try_these.get_by_role("link", name="Life").click()
    expect(phase(page)).to_have_text("2 texts, the best first")
    expect(cards(page).first).to_have_text("Life is a fine thing to have.")


def test_a_text_is_copied_or_selected(come: Callable[..., Page], stage: Stage) -> None:
    answered(stage.connection, "left", "Copies", [{"text": "Copies are\noriginals."}])
    page = come("/play?bot=left&prompt=copies", permissions=["clipboard-read", "clipboard-write"])
    one(page).get_by_role("button", name="Copy").click()
    expect(one(page).locator("output")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "Copies are\noriginals."
    page = come("/play?bot=left&prompt=copies", permissions=[])
    one(page).get_by_role("button", name="Copy").click()
    expect(one(page).locator("output")).to_have_text("Selected: copy it with Ctrl+C")
    assert page.evaluate("String(getSelection())") == "Copies are\noriginals."


def test_sentiments_in_colour_sign_and_word(come: Callable[..., Page], stage: Stage) -> None:
    answered(stage.connection, "right", "Hope", FEELINGS)
    page = come("/play?bot=right&prompt=hope")
    expect(one(page, "right").locator(".legend li")).to_have_text(["+ 2 positive", "= 1 neutral", "− 1 negative"])
    shown = one(page, "right").locator(".card .sentiment")
    expect(shown).to_have_text(["+ positive", "− negative", "= neutral", "+ positive"])
    edge = "card => getComputedStyle(card).borderLeftColor"
    colours = [card.evaluate(edge) for card in one(page, "right").locator(".card").all()]
    assert colours[0] == colours[3]
    assert len(set(colours)) == 3


def test_the_majority_alone_also_of_what_streams_in(come: Callable[..., Page], stage: Stage) -> None:
    felt = [" is wonderful, and I love it.", " is a terrible thing that I hate.", " is my best and dearest friend."]
    stage.model.script = [lambda body: said(felt) if "prompt" in body else answer(body)]
    page = come("/play?bot=left")
    write(page, "My tea")
    expect(one(page).locator(".legend li")).to_have_text(["+ 2 positive", "= 0 neutral", "− 1 negative"])
    sounds = one(page).locator(".card .sentiment").all_inner_texts()
    assert sorted(sound.split() for sound in sounds) == [["+", "positive"], ["+", "positive"], ["−", "negative"]]
    expect(one(page).locator("ol")).to_have_attribute("lang", "en")
    page.get_by_text("More").click()
    page.get_by_label("Only the prevailing sentiment").check()
    write(page, "Your tea")
    expect(phase(page)).to_have_text("2 of 3 texts, those that sound positive, the best first")
    expect(one(page).locator(".card .sentiment")).to_have_text(["+ positive", "+ positive"])
    expect(one(page).locator(".legend")).to_be_hidden()
    assert ("majority", "true") in query(page)
    one(page).get_by_role("button", name="Like").last.click()
    expect(one(page).get_by_role("button", name="Like").last).to_have_attribute("aria-pressed", "true")
    [(place, *_)] = opinions(stage, "your tea")
    found = "SELECT texts->%s->>'text' FROM answers JOIN prompts ON prompts.id = prompt_id WHERE key = 'your tea'"
    assert stage.connection.execute(found, [place]).fetchone() == (cards(page).last.inner_text(),)


def test_a_language_without_a_measured_sentiment(come: Callable[..., Page], stage: Stage) -> None:
    german = [" schläft auf dem Tisch in der Küche.", " ist ein wunderbarer Freund, und ich liebe sie sehr."]
    stage.model.script = [lambda body: said(german) if "prompt" in body else answer(body)]
    page = come("/play?bot=left&prompt=Die+Katze")
    expect(one(page).locator(".off")).to_have_text("there is no measured sentiment for de")
    expect(one(page).locator(".legend")).to_be_hidden()
    expect(one(page).locator("ol")).to_have_attribute("lang", "de")


def test_mistakes_and_refusals_in_words(come: Callable[..., Page], stage: Stage) -> None:
    page = come(f"/play?bot=left&prompt={'x' * 101}")
    expect(page.get_by_role("alert")).to_have_text("prompt: it has 101 characters, and 100 are the most")
    expect(page.get_by_label("Begin with")).to_have_accessible_description(
        "prompt: it has 101 characters, and 100 are the most"
    )
    expect(come("/play?bot=nobody").get_by_role("alert")).to_have_text(
        "there is no bot named nobody; there are left, mute, right"
    )
    page = come("/play?bot=left")
    page.get_by_text("More").click()
    page.get_by_label("Temperature").fill("3")
    write(page, "Hot")
    expect(page.get_by_role("alert")).to_have_text("temperature: '3' is not less than or equal to 2")
    busy = {"status": 429, "headers": {"retry-after": "7"}, "json": {"error": "you ask too often"}}
    page = come("/play?bot=left")
    page.route("**/stream?*", lambda route: route.fulfill(**busy))
    write(page, "Too much")
    expect(phase(page)).to_have_text("you ask too often (again in 7 s)")
    page.unroute("**/stream?*")
    one(page).get_by_role("button", name="Again").click()
    expect(phase(page)).to_have_text("2 texts, the best first")
    page.route("**/opinions", lambda route: route.fulfill(**busy))
    like = one(page).get_by_role("button", name="Like").first
    like.click()
    expect(one(page).locator("output").first).to_have_text("you ask too often (again in 7 s)")
    expect(like).to_have_attribute("aria-pressed", "false")
    page.route("**/opinions", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
    like.click()
    expect(one(page).locator("output").first).to_have_text("the server answered 502")
    page.route("**/opinions", lambda route: route.abort())
    like.click()
    expect(one(page).locator("output").first).to_have_text("the server does not answer")
    page.route("**/stream?*", lambda route: route.abort())
    write(page, "Cut off")
    expect(phase(page)).to_have_text("The connection broke off: press Again to go on.")


def test_a_failure_can_be_tried_again(come: Callable[..., Page], stage: Stage) -> None:
    stage.model.script = [lambda body: (500, {"error": "no luck"}) if "prompt" in body else answer(body)]
    page = come("/play?bot=left")
    write(page, "Luck")
    expect(phase(page)).to_contain_text("no luck")
    stage.model.script = [answer]
    one(page).get_by_role("button", name="Again").click()
    expect(phase(page)).to_have_text("2 texts, the best first")


class Blog(BaseHTTPRequestHandler):
    """A page that frames another, as docs/playing.md has it."""

    framed = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(
            f'<iframe src="{self.framed}" title="Left" id="left" width="100%"></iframe><script>addEventListener('
            '"message", e => { if (e.data.mynahHeight) left.height = e.data.mynahHeight })</script>'.encode()
        )

    def log_message(self, *_: object) -> None: ...


def test_in_a_blog_it_tells_its_height_and_sets_no_cookie(chromium: Browser, stage: Stage) -> None:
    answered(stage.connection, "left", "Framed", [{"text": f"Framed text {n}."} for n in range(12)])
    Blog.framed = f"{stage.url}/embed/left"
    with served_by(Blog) as blog:
        context = chromium.new_context(viewport=PHONE)
        page = context.new_page()
        page.goto(blog.replace("127.0.0.1", "localhost"))  # another site, for cookies too
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("button", name="Write")).to_be_visible()

        def fits() -> int:
            """The frame's height, once it is that of what is in it."""
            for _ in range(100):
                inner = page.frames[1].evaluate("document.body ? Math.ceil(document.body.offsetHeight) : 0")
                outer = page.locator("iframe").bounding_box()["height"]
                if 0 <= outer - inner < 8:  # its border
                    return int(inner)
                page.wait_for_timeout(50)
            raise AssertionError((inner, outer))

        empty = fits()
        frame.get_by_label("Begin with").fill("framed")
        frame.get_by_label("Begin with").press("Enter")
        expect(frame.locator(".card")).to_have_count(12)
        assert fits() > empty + 500
        frame.get_by_role("button", name="Like").first.click()
        expect(frame.get_by_role("button", name="Like").first).to_have_attribute("aria-pressed", "true")
        with context.expect_page() as opened:
            frame.get_by_role("link", name="On a page of its own").click()
        assert opened.value.url == f"{stage.url}/play?prompt=framed&bot=left"
        page.frames[1].goto(f"{stage.url}/embed/left")
        assert fits() < empty + 200  # it shrinks too; "framed" is often asked by now
        assert context.cookies() == []
        context.close()


def test_without_javascript_it_answers(come: Callable[..., Page], stage: Stage) -> None:
    page = come("/play?bot=left", java_script_enabled=False)
    write(page, "Plain")
    expect(phase(page)).to_have_text("2 texts, the best first")  # it reloads itself until then
    expect(cards(page)).to_have_text(["Plain is a fine thing to have.", "Plain is old and new."])
    expect(page.get_by_role("button")).to_have_text(["Write"])
    link = page.get_by_role("link", name="Link to this page").get_attribute("href")
    assert link == "play?prompt=Plain&bot=left"
    assert stage.connection.execute("SELECT visits FROM prompts WHERE key = 'plain'").fetchall() == [(1,)]


def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(come: Callable[..., Page], stage: Stage) -> None:
    """The empty page, one that is written, what was written, and a mistake; light and dark, on a desk and a phone."""
    stage.model.script = [slowly(endless, stage.gone)]
    wide = "W" * 200
    feelings = [*FEELINGS, {"text": wide, "language": "en", "sentiment": "positive"}]
    answered(stage.connection, "left", "Wide", feelings)
    answered(stage.connection, "right", "Wide", feelings)
    paths = (
        "/play",
        "/play?bot=left&prompt=Writing",
        "/play?prompt=wide&majority=true",
        f"/play?bot=left&prompt={wide}",
    )
    axe, grounds = Axe(), set()
    for path in paths:
        page = come(path)
        page.get_by_text("About").click()
        if "Writing" in path:
            expect(cards(page)).to_contain_text("on on")
        if "wide" in path:
            one(page).get_by_role("button", name="Report").first.click()
        for viewport in (DESK, PHONE):
            page.set_viewport_size(viewport)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, viewport)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                found = axe.run(page).response["violations"]
                serious = [
                    (each["id"], [node["target"] for node in each["nodes"]])
                    for each in found
                    if each["impact"] in ("serious", "critical")
                ]
                assert serious == [], (path, viewport, scheme)
        if "Writing" in path:
            one(page).get_by_role("button", name="Stop").click()
    assert len(grounds) == 2
    assert stage.gone.wait(10)


def test_nothing_moves_for_who_does_not_want_it(come: Callable[..., Page], stage: Stage) -> None:
    stage.model.script = [slowly(endless, stage.gone)]
    moving = "card => getComputedStyle(card.firstElementChild, '::after').animationName"
    page = come("/play?bot=left&prompt=Still", reduced_motion="reduce")
    expect(cards(page)).to_contain_text("on on")
    assert one(page).locator(".unfinished").evaluate(moving) == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert one(page).locator(".unfinished").evaluate(moving) == "breathe"
    one(page).get_by_role("button", name="Stop").click()
    assert stage.gone.wait(10)
