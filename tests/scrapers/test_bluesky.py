"""The bluesky source: from Bluesky's own server, and from a stand-in that answers as it does, and worse."""

import json
import random
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mynah.bot import Bot, load
from mynah.document import Document, unpack
from mynah.errors import UsageError
from mynah.settings import Settings
from scrapers import api, bluesky
from scrapers.scrape import Scraped, scrape
from tests.loopback import served_by
from tests.scrapers.kill import killed, rounds, was_killed

ANA, BOB = "did:plc:ana", "did:plc:bob"
KEY = "3l{:0>11}"  # as keys are: of 13 digits
Answer = tuple[int, Any]


class World:
    """One server that is all of Bluesky: handles, the directory, and the accounts' posts by number."""

    def __init__(self) -> None:
        self.url = ""
        self.handles = {"ana.example": ANA, "bob.example": BOB}
        self.posts: dict[str, dict[int, dict[str, Any]]] = {ANA: {}, BOB: {}}
        self.asked: list[tuple[str, str]] = []
        self.failing: dict[tuple[str, str], list[Answer]] = {}
        self.directory: Answer | None = None

    def post(self, did: str, *numbers: int, **more: Any) -> None:
        for number in numbers:
            value = {"$type": "app.bsky.feed.post", "text": f"post {number}", "createdAt": "2026-03-01T08:00:00Z"}
            self.posts[did][number] = value | more

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        if path.endswith("resolveHandle"):
            did = self.handles.get(query["handle"])
            return (200, {"did": did}) if did else (400, {"error": "InvalidRequest", "message": "Unable to resolve"})
        if path.startswith("/did:"):
            service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.url}
            return self.directory or (200, {"id": path[1:], "service": [service]})
        did, before = query["repo"], query.get("cursor", "")
        self.asked.append((did, before.lstrip("3l0")))
        if failing := self.failing.get(self.asked[-1]):
            return failing.pop()
        if did not in self.posts:
            return 400, {"error": "RepoNotFound", "message": f"Could not find repo for DID: {did}"}
        keys = {KEY.format(number): post for number, post in self.posts[did].items()}
        shown = [key for key in sorted(keys, reverse=True) if not before or key < before][: int(query["limit"])]
        records = [{"uri": f"at://{did}/app.bsky.feed.post/{key}", "value": keys[key]} for key in shown]
        return 200, {"records": records, **({"cursor": shown[-1]} if shown else {})}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(where.query).items()}
            status, said = world.answer(where.path, query)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said if isinstance(said, bytes) else json.dumps(said).encode())

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(bluesky, "PAUSE", 0)
    monkeypatch.setattr(bluesky, "PAGE", 5)
    monkeypatch.setattr(api, "BACK_OFF", (0, 0))
    with served_by(Api) as world.url:
        yield world


def environment(folder: Path, url: str, plc: str = "") -> dict[str, str]:
    asked = {"BLUESKY_URL": url, "PLC_URL": plc or url}
    return {"MYNAH_HOME": str(folder / "home"), "MYNAH_ALLOW_PRIVATE": "1", **asked}


def bot_of(
    folder: Path, url: str, accounts: str = "ana.example", more: str = "", plc: str = ""
) -> tuple[Bot, Settings]:
    file = folder / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{posts: {{kind: bluesky, accounts: [{accounts}]{more}}}}}}}}}")
    return load(file), Settings.read(environment(folder, url, plc))


def stored(settings: Settings) -> list[Document]:
    pages = settings.bucket.names("demo", "raw", "posts")
    return [found for page in pages for found in unpack(settings.bucket.read("demo", "raw", "posts", page))]


def numbers(settings: Settings, did: str = ANA) -> list[int]:
    return sorted(int(document.id[-11:]) for document in stored(settings) if f"/{did}/" in document.id)


@pytest.fixture(scope="module")
def real(shared: Path) -> Iterator[tuple[str, str]]:
    """Bluesky's own server, and its directory: their addresses."""
    if not shutil.which("npm"):
        pytest.skip("needs Node and npm for ../shared/bluesky")
    while True:  # the directory listens on the port after the server's
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if second.connect_ex(("127.0.0.1", port + 1)) and port < 65_000:
                break
    started = subprocess.run(["./up", str(port)], cwd=shared / "bluesky", capture_output=True, text=True, check=True)
    url = started.stdout.strip()
    pids = subprocess.run(["pgrep", "-f", f"^node server.mjs {port} "], capture_output=True, text=True, check=True)
    try:
        yield url, f"http://localhost:{port + 1}"
    finally:
        for pid in pids.stdout.split():
            subprocess.run(["kill", pid], check=True)


@pytest.mark.slow
def test_the_whole_history_of_an_account_on_bluesky_s_own_server(tmp_path: Path, real: tuple[str, str]) -> None:
    url, plc = real

    def call(name: str, token: str = "", **data: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = httpx.post(f"{url}/xrpc/com.atproto.{name}", json=data, headers=headers, timeout=60)
        assert response.status_code == 200, response.text
        made: dict[str, Any] = response.json()
        return made

    session = call("server.createAccount", handle="ana.test", email="ana@birds.example", password="secret-word")

    def post(*texts: str, **more: Any) -> list[str]:
        value = {"$type": "app.bsky.feed.post", "createdAt": "2026-03-01T08:00:00.000Z", **more}
        write = {"$type": "com.atproto.repo.applyWrites#create", "collection": "app.bsky.feed.post"}
        writes = [{**write, "value": {**value, "text": text}} for text in texts]
        made = call("repo.applyWrites", session["accessJwt"], repo=session["did"], writes=writes)
        return [result["uri"] for result in made["results"]]

    uris = post(*(f"post {number}" for number in range(120))) + post(*(f"post {number}" for number in range(120, 210)))
    bot, settings = bot_of(tmp_path, url, "ana.test", plc=plc)
    assert scrape(bot, settings) == Scraped({"posts": 210}, {"posts": 210})
    ref = {"uri": uris[0], "cid": "bafyreibm2yxxmyyl4zr2rngmblghtskdtgaszhtpoxbqdgkqgtzf5yrgaq"}
    other = {**ref, "uri": uris[0].replace(session["did"], "did:plc:other")}
    uris += post("to myself", reply={"root": ref, "parent": ref})
    post("to another", reply={"root": other, "parent": other})
    post("quote", embed={"$type": "app.bsky.embed.record", "record": ref})
    link = {
        "index": {"byteStart": 4, "byteEnd": 17},
        "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://birds.example/mynah"}],
    }
    uris += post("See birds.example…", facets=[link | {"index": {"byteStart": 4, "byteEnd": 20}}])
    bot, settings = bot_of(tmp_path, url, "ana.test", ", replies: false, quotes: false", plc)
    assert scrape(bot, settings) == Scraped({"posts": 2}, {"posts": 2})
    kept = {document.id: document for document in stored(settings)}
    assert sorted(kept) == sorted(uris)
    assert kept[uris[-1]] == Document(
        id=uris[-1], text="See https://birds.example/mynah", author="ana.test", created_at="2026-03-01T08:00:00.000Z"
    )
    unknown = scrape(*bot_of(tmp_path, url, "nobody.test", plc=plc)).failed["posts"]
    assert "answers 400 Bad Request: Unable to resolve handle" in unknown
    gone = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
    assert "answers 404" in scrape(*bot_of(tmp_path, url, gone, plc=plc)).failed["posts"]


def test_the_whole_history_and_then_what_is_new(tmp_path: Path, world: World) -> None:
    world.post(ANA, *range(101, 113))
    bot, settings = bot_of(tmp_path, world.url)
    assert scrape(bot, settings) == Scraped({"posts": 12}, {"posts": 12})
    assert world.asked == [(ANA, ""), (ANA, "108"), (ANA, "103"), (ANA, "101")]
    world.post(ANA, *range(113, 120))
    assert scrape(bot, settings).new == {"posts": 7}
    world.asked.clear()
    assert scrape(bot, settings) == Scraped({"posts": 0}, {"posts": 0})
    assert world.asked == [(ANA, "")]
    assert numbers(settings) == [*range(101, 120)]


def test_what_is_not_wanted_is_left_out(tmp_path: Path, world: World) -> None:
    world.post(ANA, *range(101, 120))
    world.post(ANA, 102, reply={"parent": {"uri": f"at://{BOB}/app.bsky.feed.post/1"}})
    world.post(ANA, 103, reply={"parent": {"uri": f"at://{ANA}/app.bsky.feed.post/1"}})
    quoted = {"uri": f"at://{BOB}/app.bsky.feed.post/1"}
    world.post(ANA, 104, embed={"$type": "app.bsky.embed.record", "record": quoted})
    world.post(ANA, 105, embed={"$type": "app.bsky.embed.recordWithMedia", "record": {"record": quoted}})
    world.post(ANA, 106, embed={"record": {"uri": f"at://{BOB}/app.bsky.graph.list/1"}})
    world.post(ANA, 107, text="")
    world.posts[ANA][108] = {"text": None}
    bot, settings = bot_of(tmp_path, world.url, more=", replies: false, quotes: false")
    scrape(bot, settings)
    assert numbers(settings) == [101, 103, 106, *range(109, 120)]


def test_an_account_that_cannot_be_read_does_not_keep_the_others_from_it(tmp_path: Path, world: World) -> None:
    world.post(BOB, *range(101, 104))
    del world.posts[ANA]
    said = scrape(*bot_of(tmp_path, world.url, "ana.example, nobody.example, bob.example"))
    assert said.new == {"posts": 3}
    first, second = said.problems["posts"]
    assert first.startswith(f"ana.example: {world.url}/xrpc/com.atproto.repo.listRecords?repo=did%3Aplc%3Aana&")
    assert first.endswith("answers 400 Bad Request: Could not find repo for DID: did:plc:ana")
    assert second.endswith("resolveHandle?handle=nobody.example: answers 400 Bad Request: Unable to resolve")


@pytest.mark.parametrize(
    ("directory", "wanted"),
    [
        ((410, {"message": "DID not available"}), "answers 410 Gone: DID not available"),
        ((200, {"service": []}), f"{ANA} lies on no server: the account was deleted"),
        ((200, {"service": "none"}), f"{ANA} lies on no server: the account was deleted"),
        ((200, b"<h1>parked</h1>"), "answers 200 OK: no JSON"),
        ((200, {"service": [{"id": "#atproto_pds", "serviceEndpoint": "file:///etc"}]}), "gives no whole answer"),
    ],
)
def test_an_account_without_a_server_is_one_line(tmp_path: Path, world: World, directory: Answer, wanted: str) -> None:
    world.directory = directory
    said = scrape(*bot_of(tmp_path, world.url)).failed["posts"]
    assert wanted in said
    assert "\n" not in said


def test_a_server_at_a_private_address_is_not_asked(tmp_path: Path, world: World) -> None:
    bot, _ = bot_of(tmp_path, world.url)
    settings = Settings.read({**environment(tmp_path, world.url), "MYNAH_ALLOW_PRIVATE": ""})
    assert "leads to the private address 127.0.0.1" in scrape(bot, settings).failed["posts"]


def test_a_handle_that_changed_is_said(tmp_path: Path, world: World) -> None:
    world.post(ANA, 101)
    bot, settings = bot_of(tmp_path, world.url)
    scrape(bot, settings)
    world.post(ANA, 102)
    del world.handles["ana.example"]
    said = scrape(bot, settings)
    assert said.new == {"posts": 1}
    assert "ana.example: is read as did:plc:ana, since its handle leads nowhere now" in said.problems["posts"][0]
    world.handles["ana.example"] = BOB
    said = scrape(bot, settings)
    assert "is now the handle of another account, did:plc:bob" in said.failed["posts"]
    assert numbers(settings, BOB) == []


def test_an_account_that_lost_its_posts_is_said(tmp_path: Path, world: World) -> None:
    world.post(ANA, 101)
    bot, settings = bot_of(tmp_path, world.url)
    scrape(bot, settings)
    world.posts[ANA].clear()
    assert "gave posts before, and gives none now" in scrape(bot, settings).failed["posts"]


@pytest.mark.parametrize("name", ["ana.example", "@Ana.Example", "https://bsky.app/profile/ana.example", ANA])
def test_an_account_by_its_handle_address_or_did(tmp_path: Path, name: str) -> None:
    wanted = ANA if name == ANA else "ana.example"
    assert bot_of(tmp_path, "", f"'{name}'")[0].sources["posts"].model_dump()["accounts"] == [wanted]


@pytest.mark.parametrize("name", ["", "ana", "did:key:z6Mk", "did:web:localhost", "a b.example", "a.example/x"])
def test_what_names_no_account_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"demo\.yaml:1: .*names no account"):
        bot_of(tmp_path, "", f"'{name}'")


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(5))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(tmp_path: Path, world: World, number: int) -> None:
    """Kills at random calls; meanwhile there are new posts. No page is asked for twice once it is kept."""
    chance = random.Random(number)
    world.post(ANA, *range(101, 131))
    world.post(BOB, *range(101, 113))
    (tmp_path / "whole").mkdir()
    bot_of(tmp_path / "whole", world.url, "ana.example, bob.example")
    calls = int(killed(tmp_path / "whole/demo.yaml", environment(tmp_path / "whole", world.url)).stdout)
    world.asked.clear()
    bot, settings = bot_of(tmp_path, world.url, "ana.example, bob.example")
    kills = 0
    for last in (131, 138):
        world.post(ANA, *range(131, last))
        kills += was_killed(
            tmp_path / "demo.yaml", environment(tmp_path, world.url), chance.randrange(calls // 10, calls)
        )
    scrape(bot, settings)
    assert (numbers(settings), numbers(settings, BOB)) == ([*range(101, 138)], [*range(101, 113)])
    # The last page, which is empty, is asked for twice on purpose.
    older = Counter((did, before) for did, before in world.asked if before not in ("", "101"))
    assert sum(older.values()) - len(older) <= kills
