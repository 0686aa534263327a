"""The bots of bots/, each walked from its sources to a post: by a tiny model, with stand-ins for the world.

Nothing is set but keys, addresses of stand-ins, and what makes a model small.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mynah.bot import load
from mynah.bot.sources.cohort import CohortSource
from mynah.bot.sources.x import XSource
from mynah.document import unpack
from simulators.x.api import DEMO_BEARER
from simulators.x.world import World
from tests.loopback import served_by
from tests.scrapers.telegram.test_preview import PAGE, POST, TEXT
from tests.x import post, simulated

BOTS = Path(__file__).parents[1] / "bots"
SMALL = {
    "train": {
        "max_steps": 30,
        "learning_rate": 0.01,
        "block_size": 32,
        "batch_size": 8,
        "eval_every": 30,
        "save_every": 30,
    },
    "generate": {"samples": 20, "max_tokens": 24, "seed": 1},
    "judge": {"min_words": 2, "max_copied": 1, "approve_best": 3},
}


def run(name: str, folder: Path, base: str, env: dict[str, str], **sources: dict[str, Any]) -> dict[str, int]:
    """Walk a bot's loop; how many documents of each source it listened to."""
    changes = {f"{section}.{key}": value for section, keys in SMALL.items() for key, value in keys.items()}
    changes |= {"train.base": base}
    changes |= {f"sources.{source}.{key}": value for source, keys in sources.items() for key, value in keys.items()}
    command = [sys.executable, "-m", "mynah", "run", str(BOTS / f"{name}.yaml"), "--json"]
    for key, value in changes.items():
        command += ["--set", f"bots.{name}.{key}={value}"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MYNAH_", "X_", "TELEGRAM_"))}
    ran = subprocess.run(command, cwd=folder, env=kept | env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["posted"]["main"]["outcome"] == "posted"
    assert (folder / f".mynah/outbox/{name}.jsonl").read_text().count("\n") == 1
    raw = folder / ".mynah/bucket" / name / "raw"
    return {
        source.name: sum(1 for page in source.glob("*.jsonl.zst") for _ in unpack(page.read_bytes()))
        for source in raw.iterdir()
    }


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url}


@pytest.mark.slow
def test_jokes(tmp_path: Path, tiny: str, env: dict[str, str], shared: Path) -> None:
    file = shared / "data/jokes/onelinefun.csv"
    assert run("jokes", tmp_path, tiny, env, onelinefun={"url": str(file)}) == {"onelinefun": 2950}


@pytest.mark.slow
def test_trump(tmp_path: Path, tiny: str, env: dict[str, str], shared: Path) -> None:
    file = shared / "data/trump/condensed_2016.json"
    assert run("trump", tmp_path, tiny, env, archive={"url": str(file)}) == {"archive": 4225}


@pytest.mark.slow
def test_bugurt(tmp_path: Path, tiny: str, env: dict[str, str], shared: Path) -> None:
    """Its posts stand on preview pages, as Telegram shows them."""
    files = sorted((shared / "data/telegram").glob("*.json"))
    texts = [row["text"] for file in files for row in json.loads(file.read_text()) if row["text"]][:200]

    class Preview(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            before = int(parse_qs(asked.query).get("before", [str(len(texts) + 1)])[0])
            first = max(before - 50, 1)
            posts = [
                POST.format(id=id, text=TEXT.format(escape(texts[id - 1]).replace("\n", "<br/>")))
                for id in range(first, before)
            ]
            link = f'<link rel="prev" href="{asked.path}?before={first}">' if first > 1 else ""
            body = PAGE.format(link=link, posts="".join(posts)).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with served_by(Preview) as address:
        world = {"TELEGRAM_URL": address, "MYNAH_ALLOW_PRIVATE": "1"}
        assert run("bugurt", tmp_path, tiny, env | world) == {"channel": 200}


@pytest.fixture
def x(tmp_path: Path, env: dict[str, str], shared: Path) -> Iterator[Any]:
    """x(world) is the environment of a bot on an X where this world is."""
    with ExitStack() as running:

        def start(world: World) -> dict[str, str]:
            address = running.enter_context(simulated(tmp_path / "x.jsonl", world=world, window=1))
            return env | {"X_API_URL": address, "X_BEARER_TOKEN": DEMO_BEARER}

        yield start


def tweets(shared: Path) -> list[str]:
    rows = json.loads((shared / "data/trump/condensed_2016.json").read_text())
    return [row["text"] for row in rows if not row["is_retweet"]]


@pytest.mark.slow
def test_astrology(tmp_path: Path, tiny: str, x: Any, shared: Path) -> None:
    """Horoscopes in a file, and astrologers on X."""
    (source,) = (source for source in load(BOTS / "astrology.yaml").sources.values() if isinstance(source, XSource))
    world, texts = World(), tweets(shared)
    for id, name in enumerate(source.accounts, 1):
        world.add({"id": str(id), "username": name})
        world.write([post(id, n, text=texts[id * 100 + n]) for n in range(60)])
    file = next((shared / "data/horoscopes").glob("*.csv"))
    scraped = run("astrology", tmp_path, tiny, x(world), horoscopes={"url": str(file)})
    assert scraped["astrologers"] == 60 * len(source.accounts)
    assert scraped["horoscopes"] > 1000


def test_left_and_right_mirror_one_another() -> None:
    left, right = (load(BOTS / f"{side}.yaml").sources["followers"].model_dump() for side in ("left", "right"))
    assert {**left, "leaders": left["opponents"], "opponents": left["leaders"]} == right


@pytest.mark.slow
def test_left(tmp_path: Path, tiny: str, x: Any, shared: Path) -> None:
    """Who follows the leaders of one side, and not those of the other."""
    (source,) = load(BOTS / "left.yaml").sources.values()
    assert isinstance(source, CohortSource)
    world, texts = World(), tweets(shared)
    sides = {"mine": range(1000, 1030), "theirs": range(1020, 1050)}
    for id, name in enumerate(source.leaders + source.opponents, 1):
        followers = sides["mine" if name in source.leaders else "theirs"]
        world.add({"id": str(id), "username": name, "followers": [str(follower) for follower in followers]})
    for number, id in enumerate(range(1000, 1050)):
        world.add({"id": str(id), "username": f"u{id}"})
        world.write([post(id, n, text=texts[number * 20 + n]) for n in range(20)])
    assert run("left", tmp_path, tiny, x(world)) == {"followers": 20 * 20}  # ten of thirty follow both sides
