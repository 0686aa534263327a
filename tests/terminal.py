"""A command in a terminal of its own: what is typed into it, and what stands on its screen."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

PATIENCE = 120.0  # seconds that a screen may take to show something


class Terminal:
    """A child and its screen."""

    def __init__(self, cwd: Path, arguments: list[str], env: dict[str, str], columns: int, rows: int) -> None:
        self.child = pexpect.spawn(
            sys.executable, ["-m", "mynah", *arguments], cwd=str(cwd), env=env, dimensions=(rows, columns), timeout=None
        )
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)

    def text(self) -> str:
        """The screen, its lines as they stand."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def until(self, told: Callable[[str], bool] | str) -> str:
        """Wait until the screen says something, or fits; returns it."""
        fits = told if callable(told) else lambda screen: told in screen
        give_up = time.monotonic() + PATIENCE
        while not fits(self.text()):
            if time.monotonic() > give_up:
                raise AssertionError(f"not on the screen: {told!r}\n{self.text()}")
            self._read()
        return self.text()

    def press(self, keys: str) -> None:
        """Type."""
        self.child.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def ended(self) -> int:
        """Wait until the command ends; returns its exit status."""
        give_up = time.monotonic() + PATIENCE
        while self.child.isalive() and time.monotonic() < give_up:
            self._read()
        self._read()
        self.child.close(force=True)
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def _read(self) -> None:
        try:
            self.stream.feed(self.child.read_nonblocking(1 << 16, timeout=0.05))
        except (pexpect.TIMEOUT, pexpect.EOF):
            time.sleep(0.01)


@contextmanager
def terminal(cwd: Path, *arguments: str, columns: int = 80, rows: int = 24, **env: str) -> Iterator[Terminal]:
    """`mynah ARGUMENTS` in a terminal of that size."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYNAH_", "X_", "PG"))}
    opened = Terminal(cwd, list(arguments), kept | {"TERM": "xterm-256color"} | env, columns, rows)
    try:
        yield opened
    finally:
        opened.child.close(force=True)
