"""A scrape of X that is killed (-9) at any moment. MYNAH_TEST_KILLS=50 has fifty killed, instead of five of each."""

import random
from collections.abc import Callable

import pytest

from mynah.database import spend
from mynah.settings import Settings
from tests.scrapers.kill import killed, rounds, was_killed
from tests.scrapers.x.conftest import Birds, Counted, wrote
from tests.x import post, world_of

NUMBERS = rounds(5)
CALLS = 100_000  # of functions: nearly all of an undisturbed scrape
Start = Callable[..., Birds]


def disturbed(x: Birds, chance: random.Random) -> bool:
    """Whether it was in time: what is left to do may take fewer calls."""
    return was_killed(x.folder / "demo.yaml", x.environment, chance.randrange(CALLS // 20, CALLS))


@pytest.mark.slow
@pytest.mark.usefixtures("within_a_day")
@pytest.mark.timeout(1500)  # it may wait
@pytest.mark.parametrize("number", NUMBERS)
def test_it_ends_as_if_undisturbed(birds: Start, number: int) -> None:
    """No page is asked for twice once it is kept, and each post is paid for once."""
    bill = Counted()
    x = birds(world_of({"anna": 330, "ben": 40, "silent": 0, "carl": 210}), bill=bill)
    x.bot("accounts: [anna, ben, nobody, silent, carl]")
    chance = random.Random(number)
    kills = sum(disturbed(x, chance) for _ in range(3))
    x.world.write([post(1, n) for n in range(330, 335)])
    ended = killed(x.folder / "demo.yaml", x.environment)
    assert ended.returncode == 0, ended.stderr
    assert x.stored() == wrote(1, range(335)) + wrote(2, range(40)) + wrote(4, range(210))
    twice = sum(times - 1 for (kind, _), times in bill.given.items() if kind == "post")
    assert twice <= 100 * kills
    assert bill.read["post"] == 335 + 40 + 210
    with Settings.read(x.environment).connect() as connection:
        assert float(spend.spent(connection, "demo")) == pytest.approx(bill.dollars)


@pytest.mark.slow
@pytest.mark.usefixtures("within_a_day")
@pytest.mark.timeout(1500)  # it may wait
@pytest.mark.parametrize("number", NUMBERS)
def test_a_dollar_is_never_passed_and_used(birds: Start, number: int) -> None:
    """Over three restarts with kills, by the bill of X itself."""
    bill = Counted()
    x = birds(world_of({"anna": 120, "ben": 40, "carl": 300, "dora": 5}), bill=bill)
    x.bot("accounts: [anna, ben, carl, dora]", cap=1)
    chance = random.Random(number)
    for _ in range(3):
        disturbed(x, chance)
        assert bill.dollars <= 1
    ended = killed(x.folder / "demo.yaml", x.environment)
    assert ended.returncode == 0, ended.stderr
    assert 0.97 <= bill.dollars <= 1
    assert "stops here" in ended.stderr
