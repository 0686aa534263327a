"""`mynah serve` as a child of this process, for as long as a block of code needs a model."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx

from mynah.errors import MynahError

READY_WITHIN = 180.0  # seconds a model may take to load
POLL = 0.2  # seconds between two looks
STOPS_WITHIN = 30.0  # seconds for what it answers just then


@contextmanager
def serving(bot: str, model: str | None = None) -> Iterator[str]:
    """Serve `model`, or the bot's current one, on a free port while the block runs; yields the address.

    Raises as `started` does.
    """
    with started([bot, *(["--model", model] if model else [])]) as address:
        yield address


@contextmanager
def started(arguments: Sequence[str]) -> Iterator[str]:
    """`mynah serve` with these arguments, on a free port while the block runs; yields the address.

    The server dies with this process, even by SIGKILL. Raises MynahError where it ends by itself or is never ready; it
    has said why on stderr by then.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mynah", "serve", *arguments, "--quiet", "--port", str(port)]
    server = subprocess.Popen(command, preexec_fn=die_with_parent)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_ready(server, arguments[0], address)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_ready(server: "subprocess.Popen[bytes]", bot: str, address: str) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MynahError(f"`mynah serve {bot}` ended (exit {server.returncode}) before its model was ready")
        try:
            if httpx.get(f"{address}/v2/health/ready", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL)
    raise MynahError(f"`mynah serve {bot}` was not ready within {READY_WITHIN:.0f} s")


def die_with_parent() -> None:
    """In a child, on Linux: be stopped when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1  # prctl(2)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
