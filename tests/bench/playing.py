"""`make bench PART=playing`: the Play page and its API.

page    bytes, requests, and how soon the page can be used at 360 px on a phone's line
known   how soon a prompt that is known is answered, at 200 requests/s, beside a bare route with the same query
new     how soon 20 texts of a new prompt are there, of SmolLM2-135M

`python -m tests.bench.playing page known` measures these alone. Targets: a known prompt takes 5 ms at the median and
25 ms at p99, a new one 2 s.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser

from mynah.database import served
from mynah.database.connection import Connection
from mynah.local_server import die_with_parent, started
from mynah.settings import Settings
from tests.serving.model.conftest import free_port
from tests.serving.tweets.browser import browser
from tests.serving.tweets.conftest import MODEL, answered

ROUNDS = int(os.environ.get("MYNAH_BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("MYNAH_BENCH_SECONDS", "30"))
BOT, PROMPTS, TEXTS, RATE = "parrot", 100, 20, 200
ANY_NUMBER = ("--requests-per-minute", "0", "--prompts-per-minute", "0")
FILE = """\
bots:
  parrot:
    sources: {none: {url: none.txt}}
    judge: {min_words: 2}
    generate: {prompts: [Love is, Never, The man]}
"""
NEW = ("The best thing about", "My mother always", "Why do", "In the end", "If you want", "People say")
# Lighthouse's slow 4G, and a phone's processor.
LINE = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
SLOWER, WIDTH, HEIGHT = 4, 360, 740
USABLE = """
new MutationObserver((_, watch) => {
  if (document.querySelector("#prompt[role=combobox]")) { globalThis.usable = performance.now(); watch.disconnect(); }
}).observe(document, { attributes: true, childList: true, subtree: true });
"""


@contextmanager
def running(module: Sequence[str], url: str, path: str, settings: Settings) -> Iterator[psutil.Process]:
    """A Python module as a process, from when `path` of it answers until the block ends."""
    environment = os.environ | settings.environment
    process = subprocess.Popen([sys.executable, "-m", *module], env=environment, preexec_fn=die_with_parent)
    try:
        give_up = time.monotonic() + 60
        while True:
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"{' '.join(module)} does not answer")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}{path}", timeout=5).is_success:
                    break
            time.sleep(0.05)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def playing(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`mynah play`; its address, and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        ["mynah", "play", BOT, "--port", str(port), "--quiet", *ANY_NUMBER], url, "/health/ready", settings
    ) as process:
        yield url, process


def page(settings: Settings, connection: Connection) -> None:
    text = "It is what a text of a bot looks like: neither short nor long, and a little odd {}."
    answered(connection, BOT, "Bytes", [{"text": text.format(n)} for n in range(TEXTS)])
    print(f"\nthe page at {WIDTH} px, 1.6 Mbit/s, 150 ms, a processor {SLOWER} times as slow, nothing cached:")
    titles = ("requests", "bytes", "gzipped", "first paint", "usable", "worst")
    print(f"  {'':<10}" + "".join(f"{title:>13}" for title in titles))
    with playing(settings) as (url, _), browser() as started:
        for name, path in (("empty", "/play"), (f"{TEXTS} texts", "/play?prompt=bytes")):
            visits = [visit(started, f"{url}{path}") for _ in range(ROUNDS)]
            asked = set(visits[0]["asked"])
            raw = sum(len(httpx.get(each).content) for each in asked)
            zipped = sum(sent(each) for each in asked)
            paint = statistics.median(each["paint"] for each in visits)
            usable = [max(each["paint"], each["usable"]) for each in visits]
            print(
                f"  {name:<10}{len(asked):13}{raw:13,}{zipped:13,}{paint:10.0f} ms"
                f"{statistics.median(usable):10.0f} ms{max(usable):10.0f} ms"
            )


def sent(url: str) -> int:
    """Bytes of a body as a browser gets it."""
    with httpx.stream("GET", url, headers={"accept-encoding": "gzip"}) as found:
        return sum(len(piece) for piece in found.iter_raw())


def visit(started: Browser, url: str) -> dict[str, Any]:
    """What somebody's first visit asks for, and when (ms) it is painted and can be used."""
    context = started.new_context(viewport={"width": WIDTH, "height": HEIGHT}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.add_init_script(USABLE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    line = context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", LINE)
    line.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url, wait_until="networkidle")
    told: dict[str, Any] = page.evaluate(
        "({usable: globalThis.usable, paint: performance.getEntriesByName('first-contentful-paint')[0].startTime})"
    )
    context.close()
    return told | {"asked": asked}


def known(settings: Settings, connection: Connection) -> None:
    text = "A text as bots write them, with some thirty more characters {}."
    for number in range(PROMPTS):
        answered(connection, BOT, f"known {number}", [{"text": text.format(n), "score": 0.5} for n in range(TEXTS)])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bare = running(["tests.bench.bare", str(port)], url, "/openapi.json", settings)
    latencies: dict[str, list[float]] = {"mynah play": [], "bare route": []}
    spent, failed = dict.fromkeys(latencies, 0.0), dict.fromkeys(latencies, 0)
    with playing(settings) as ours, bare as process:
        contestants = {"mynah play": ours, "bare route": (url, process)}
        for _ in range(ROUNDS):
            for name, (address, process) in contestants.items():
                command = ["tests.bench.open_loop", address, BOT, str(PROMPTS), str(RATE), str(SECONDS)]
                before = sum(process.cpu_times()[:2])
                done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=True)
                spent[name] += sum(process.cpu_times()[:2]) - before
                told = json.loads(done.stdout)
                latencies[name] += told["latencies"]
                failed[name] += len(told["failed"])
    print(f"\nknown prompts, {RATE} requests/s, {ROUNDS} × {SECONDS:.0f} s each, in turns (ms):")
    titles = ("p50", "p95", "p99", "worst", "of CPU", "requests", "failed")
    print(f"  {'':<12}" + "".join(f"{title:>10}" for title in titles))
    for name, taken in latencies.items():
        numbers = [quantile(taken, share) for share in (0.5, 0.95, 0.99, 1)] + [spent[name] / len(taken)]
        shown = "".join(f"{number * 1000:10.2f}" for number in numbers)
        print(f"  {name:<12}{shown}{len(taken):10}{failed[name]:10}")


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def new(settings: Settings, connection: Connection) -> None:
    from mynah.bot import Generate
    from training.base_model import load_base
    from training.publish import write_model

    model = settings.home / "model"
    model.mkdir()
    write_model(*load_base("smollm2-135m", settings.home / "base"), model, Generate())
    (model / "model.json").write_text(json.dumps({"id": MODEL, "created": "2026-01-01T00:00:00Z"}), "utf-8")
    firsts, wholes, judged = [], [], []
    with started([BOT, "--model-dir", str(model)]) as endpoint:
        asked = {**settings.environment, "MYNAH_ENDPOINT": endpoint}
        with playing(Settings.read(asked)) as (url, _), httpx.Client(base_url=url, timeout=300) as client:
            for number, prompt in enumerate(("Warm", *NEW)):
                first, whole, texts = streamed(client, prompt)
                if number:
                    firsts.append(first)
                    wholes.append(whole)
                    judged.append(texts)
    print(f"\n{TEXTS} texts of a new prompt, {len(NEW)} prompts, SmolLM2-135M, {os.cpu_count()} processors (s):")
    print(f"  {'':<28}{'median':>10}{'worst':>10}")
    for name, taken in (("until a first text is shown", firsts), ("until all are written", wholes)):
        print(f"  {name:<28}{statistics.median(taken):10.2f}{max(taken):10.2f}")
    print(f"  {'texts that pass the judge':<28}{statistics.median(judged):10.0f}{max(judged):10.0f}")


def streamed(client: httpx.Client, prompt: str) -> tuple[float, float, int]:
    """Seconds until something of a text is shown, seconds until all is written, and how many texts there are."""
    begin, first = time.perf_counter(), 0.0
    with client.stream("GET", "/tweets/stream", params={"bot": BOT, "prompt": prompt}) as lines:
        for line in lines.iter_lines():
            told = json.loads(line)
            if told["texts"] and not first:
                first = time.perf_counter() - begin
    if told["state"] != "written":
        raise SystemExit(told["says"])
    return first, time.perf_counter() - begin, len(told["texts"])


SECTIONS: dict[str, Callable[[Settings, Connection], None]] = {"page": page, "known": known, "new": new}


def main(chosen: Sequence[str]) -> None:
    for name in chosen or SECTIONS:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            (Path(folder) / f"{BOT}.yaml").write_text(FILE, "utf-8")
            environment = {"MYNAH_HOME": f"{folder}/home", "MYNAH_BOTS": folder, "MYNAH_ENDPOINT": "http://127.0.0.1:9"}
            connection = stack.enter_context(Settings.read(environment).connect())
            served.carry_out(connection, served.ask(connection, BOT, MODEL, "to be measured").id)
            url = connection.info.dsn
            SECTIONS[name](Settings.read(environment | {"DATABASE_URL": url}), connection)


if __name__ == "__main__":
    main(sys.argv[1:])
