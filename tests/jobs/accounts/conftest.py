"""What the tests of accounts share: a server that answers what a test says."""

from collections.abc import Iterator

import pytest

from tests.answering import Scripted
from tests.loopback import at_work


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with at_work(Scripted()) as server:
        yield server
