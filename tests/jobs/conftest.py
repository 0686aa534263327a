"""What the tests of posting share: the X simulator, and tweets to post."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from mynah.bot import Bot, FileSource
from mynah.database.posts import Post
from mynah.journal import opened
from simulators.x.api import application


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[str]:
    """The X simulator on a free port; its address. What it was told lies in tmp_path/x.jsonl."""
    with opened(tmp_path / "x.jsonl") as journal:
        server = uvicorn.Server(uvicorn.Config(application(journal), port=0, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        server.force_exit = True  # do not wait for connections that a client keeps open
        thread.join()


@pytest.fixture
def bot() -> Bot:
    return Bot(name="demo", sources={"none": FileSource(url="none.txt")})


@pytest.fixture
def row() -> Post:
    """A claimed row, to be posted."""
    return Post(
        id=3,
        tweet_id=7,
        bot="demo",
        account="main",
        text="To be & to see, <not>",
        slot=None,
        state="claimed",
        attempts=1,
        claimed_at=datetime.now(UTC),
        posted_at=None,
        post_id=None,
        post_url=None,
        reason=None,
    )
