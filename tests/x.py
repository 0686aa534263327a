"""The X simulator on a free port, for a test's time, and people to read there."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from mynah.journal import opened
from simulators.x.api import application
from simulators.x.world import EPOCH, World

BEGIN = 1_704_067_200  # 2024-01-01, in seconds


@contextmanager
def simulated(state: Path, **how: Any) -> Iterator[str]:
    """Runs the simulator as `application` takes it; yields its address."""
    with opened(state) as journal:
        config = uvicorn.Config(application(journal, **how), port=0, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        server.force_exit = True  # do not wait for connections that a client keeps open
        thread.join()


def post(author: int, number: int, **more: Any) -> dict[str, Any]:
    """A line of the posts' file: the author's post of this number, one each hour."""
    id = int((BEGIN + 3600 * number) * 1000) - EPOCH << 22 | author
    return {"id": str(id), "author_id": str(author), "text": f"post {number} of {author}", **more}


def world_of(posts: dict[str, int | Iterable[dict[str, Any]]]) -> World:
    """Users by their names with so many posts, or these; their ids are 1, 2, 3 …"""
    world = World()
    for author, (name, wrote) in enumerate(posts.items(), 1):
        world.add({"id": str(author), "username": name})
        world.write([post(author, n) for n in range(wrote)] if isinstance(wrote, int) else wrote)
    return world
