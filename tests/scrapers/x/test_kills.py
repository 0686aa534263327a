"""A scrape of X that is killed (-9) at any moment. MYNAH_TEST_KILLS=50 has fifty killed, instead of five of each."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from mynah.database import spend
from mynah.settings import Settings
from simulators.x.billing import Bill
from tests.scrapers.x.conftest import Birds, wrote
from tests.x import post, world_of

REPO = Path(__file__).parents[3]
NUMBERS = range(int(os.environ.get("MYNAH_TEST_KILLS", "5")))
CALLS = 100_000  # of functions: nearly all of an undisturbed scrape
Start = Callable[..., Birds]


class Counted(Bill):
    """A bill that remembers how often each post was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[str] = Counter()

    def charge(self, kind: str, ids: list[str]) -> None:
        super().charge(kind, ids)
        self.given.update(ids if kind == "post" else ())


def run(x: Birds, *call: int) -> "subprocess.CompletedProcess[str]":
    """A scrape in a process of its own, which is killed at the call of a function with this number."""
    command = [sys.executable, "-m", "tests.scrapers.kill", str(x.folder / "demo.yaml"), *map(str, call)]
    env = os.environ | x.environment | {"PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)


def killed(x: Birds, chance: random.Random) -> bool:
    """Whether it was in time: what is left to do may take fewer calls."""
    ended = run(x, chance.randrange(CALLS // 20, CALLS))
    assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
    return ended.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_it_ends_as_if_undisturbed(birds: Start, number: int) -> None:
    """No page is asked for twice once it is kept, and each post is paid for once."""
    bill = Counted()
    x = birds(world_of({"anna": 330, "ben": 40, "silent": 0, "carl": 210}), bill=bill)
    x.bot("accounts: [anna, ben, nobody, silent, carl]")
    chance = random.Random(number)
    kills = sum(killed(x, chance) for _ in range(3))
    x.world.write([post(1, n) for n in range(330, 335)])
    ended = run(x)
    assert ended.returncode == 0, ended.stderr
    assert x.stored() == wrote(1, range(335)) + wrote(2, range(40)) + wrote(4, range(210))
    twice = sum(number - 1 for number in bill.given.values())
    assert twice <= 100 * kills
    assert bill.read["post"] == 335 + 40 + 210
    with Settings.read(x.environment).connect() as connection:
        assert float(spend.spent(connection, "demo")) == pytest.approx(bill.dollars)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_a_dollar_is_never_passed_and_used(birds: Start, number: int) -> None:
    """Over three restarts with kills, by the bill of X itself."""
    bill = Counted()
    x = birds(world_of({"anna": 120, "ben": 40, "carl": 300, "dora": 5}), bill=bill)
    x.bot("accounts: [anna, ben, carl, dora]", cap=1)
    chance = random.Random(number)
    for _ in range(3):
        killed(x, chance)
        assert bill.dollars <= 1
    ended = run(x)
    assert ended.returncode == 0, ended.stderr
    assert 0.97 <= bill.dollars <= 1
    assert "stops here" in ended.stderr
