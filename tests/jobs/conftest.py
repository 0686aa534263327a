"""What the tests of posting share: a bot, and a row to post."""

from datetime import UTC, datetime

import pytest

from mynah.bot import Bot, FileSource
from mynah.database.posts import Post


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
