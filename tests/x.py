"""The X simulator on a free port, for a test's time, and people to read there."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mynah.journal import opened
from simulators.x.api import application
from simulators.x.world import EPOCH, World
from tests.loopback import app_served

BEGIN = 1_704_067_200  # 2024-01-01, in seconds


@contextmanager
def simulated(state: Path, **how: Any) -> Iterator[str]:
    """Runs the simulator as `application` takes it; yields its address."""
    with opened(state) as journal, app_served(application(journal, **how)) as url:
        yield url


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
