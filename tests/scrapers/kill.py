"""python -m tests.scrapers.kill BOT CALLS: scrape, and be killed (-9) at the call of a function with this number.

Without CALLS, scrape to the end and print how many calls of functions that was.
"""

import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import psycopg  # noqa: F401 — here, so that no kill falls on its import
import tweepy  # noqa: F401

from mynah.bot import load
from mynah.settings import Settings
from scrapers import article, bluesky, mastodon, scrape, telegram, whole
from scrapers.x import reader

REPO = Path(__file__).parents[2]


def rounds(usual: int) -> range:
    """Numbers of scrapes to be killed, each at moments of its own: so many as a run of all tests has time for."""
    return range(int(os.environ.get("MYNAH_TEST_KILLS", usual)))


def killed(bot: Path, env: dict[str, str], *at: int) -> "subprocess.CompletedProcess[str]":
    """What becomes of a scrape that is killed at a call of a function."""
    command = [sys.executable, "-m", "tests.scrapers.kill", str(bot), *map(str, at)]
    env = os.environ | env | {"PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)


def was_killed(bot: Path, env: dict[str, str], at: int) -> bool:
    """Whether a scrape was killed at this call. What is left to do may take fewer calls: then it must end well."""
    ended = killed(bot, env, at)
    assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
    return ended.returncode != 0


def main(bot: str, at: int | None = None) -> None:
    # Small, so that there are many moments between two pages.
    whole.PAGE = 7
    article.BATCH = 3
    reader.BACK_OFF = (0.0,)
    scrape.PAGE_DOCUMENTS = 20
    bluesky.PAGE = mastodon.PAGE = 5
    bluesky.PAUSE = mastodon.PAUSE = telegram.PAUSE = 0
    loaded, settings = load(Path(bot)), Settings.read(os.environ)
    calls = count(1)
    made = 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal made
        if event in ("call", "c_call"):
            made = next(calls)
            if made == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    scrape.scrape(loaded, settings)
    sys.setprofile(None)
    print(made)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
