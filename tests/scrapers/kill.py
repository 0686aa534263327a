"""python -m tests.scrapers.kill BOT CALLS: scrape, and be killed (-9) at the call of a function with this number.

Without CALLS, scrape to the end and print how many calls of functions that was.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from mynah.bot import load
from mynah.settings import Settings
from scrapers import article, scrape, telegram, whole

# Small, so that there are many moments between two pages.
whole.PAGE = 7
telegram.PAUSE = 0
article.BATCH = 3
scrape.PAGE_DOCUMENTS = 20


def main(bot: str, at: int | None = None) -> None:
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


main(sys.argv[1], *map(int, sys.argv[2:]))
