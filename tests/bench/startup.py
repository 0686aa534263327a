"""How soon the command is there: `make bench PART=startup`.

Each contestant is a process of its own; they take turns, and medians are compared. Targets: `mynah --version` and
`mynah post --help` take at most 2.5 times what importing click takes, and `mynah post` at most 2.5 times what importing
psycopg and tweepy takes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn

from mynah.database import tweets
from mynah.database.connection import connect
from mynah.journal import opened
from simulators.x.api import DEMO_KEYS, application

ROUNDS = 15
BOT = "bots: {demo: {sources: {none: {url: none.txt}}}}\n"


def main() -> None:
    """Print the median seconds of each, and the ratios."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "bots").mkdir()
        (home / "bots/demo.yaml").write_text(BOT, encoding="utf-8")
        with connect(None, home) as connection, opened(home / "x.jsonl") as journal:
            texts = [tweets.NewTweet(f"the text number {number}", state="approved") for number in range(ROUNDS + 1)]
            tweets.add_tweets(connection, "demo", texts)
            server = uvicorn.Server(uvicorn.Config(application(journal), port=0, log_level="warning", lifespan="off"))
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            environment = os.environ | DEMO_KEYS | {"X_API_URL": f"http://127.0.0.1:{port}"}
            environment |= {"DATABASE_URL": connection.info.dsn, "MYNAH_HOME": folder}
            contestants = {
                "import click": [python, "-c", "import click"],
                "mynah --version": [python, "-m", "mynah", "--version"],
                "mynah post --help": [python, "-m", "mynah", "post", "--help"],
                "import psycopg, tweepy": [python, "-c", "import psycopg, tweepy"],
                "mynah post": [python, "-m", "mynah", "post", "demo"],
            }
            seconds: dict[str, list[float]] = {name: [] for name in contestants}
            for number in range(ROUNDS + 1):
                for name, command in contestants.items():
                    begin = time.perf_counter()
                    subprocess.run(command, cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL)
                    if number:  # the first round fills the caches
                        seconds[name].append(time.perf_counter() - begin)
            server.should_exit = True
            thread.join()
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        peer = "import psycopg, tweepy" if name in ("import psycopg, tweepy", "mynah post") else "import click"
        ratio = "" if name == peer else f"  {median / medians[peer]:.2f} × {peer}"
        print(f"{name:<24}{median:7.3f} s{ratio}")


if __name__ == "__main__":
    main()
