"""Bluesky's own server, installed beside the repository, for a test's time."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PASSWORD = "a-password-of-the-tests"


@contextmanager
def server(source: Path, data: Path, *flags: str) -> Iterator[str]:
    """Runs the server of `source`, which is installed once, with its files in `data`; yields its address."""
    if not shutil.which("node"):
        pytest.skip("needs Node 20 or later, for Bluesky's own server")
    installed = Path(os.environ.get("BLUESKY_DIR") or Path.home() / ".cache/mynah-bluesky")
    if not (installed / "node_modules/@atproto/pds").is_dir():
        subprocess.run([source / "up", str(_ports())], check=True, timeout=900)
        os.kill(int((installed / "server.pid").read_text()), 15)
    command = ["node", "server.mjs", str(_ports()), str(data), *flags]
    environment = os.environ | {"LOG_ENABLED": "false"}
    with subprocess.Popen(command, cwd=installed, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            assert said.startswith("ready "), said
            yield said.split()[1]
        finally:
            process.terminate()


def new_account(url: str, name: str) -> str:
    """An account on the server; its handle. Its password is PASSWORD."""
    body = {"handle": f"{name}.test", "email": f"{name}@example.org", "password": PASSWORD}
    httpx.post(f"{url}/xrpc/com.atproto.server.createAccount", json=body, timeout=30).raise_for_status()
    return f"{name}.test"


def records(url: str, handle: str) -> list[dict[str, object]]:
    """All posts of an account, the newest first, as {uri, cid, value}."""
    found, cursor = [], ""
    while True:
        query = {"repo": handle, "collection": "app.bsky.feed.post", "limit": 100, "cursor": cursor}
        page = httpx.get(f"{url}/xrpc/com.atproto.repo.listRecords", params=query, timeout=30).json()
        found += page["records"]
        if not (cursor := page.get("cursor", "")):
            return found


def _ports() -> int:
    """A free port whose next is free too: the directory of identities listens there."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
