"""Debian's Chromium, led by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "needs a browser: there is no chromium on PATH (Debian: apt install chromium)"


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window. Chromium refuses to put itself into a sandbox as root."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=PROGRAM, args=flags)
        yield started
        started.close()
