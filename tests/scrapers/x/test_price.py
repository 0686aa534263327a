"""What reading X would cost: told before, and equal to what it does cost where accounts are as was assumed."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from scrapers.verbs import scrape
from tests.scrapers.x.conftest import Birds
from tests.x import world_of

Start = Callable[..., Birds]


@pytest.mark.parametrize("limit", [5, 60, 100, 103, 250])
def test_requests_and_dollars_are_as_estimated(birds: Start, limit: int) -> None:
    x = birds(world_of(dict.fromkeys("abc", 250)))
    told = x.estimate(f"accounts: [a, b, c], limit: {limit}").costs["birds"]
    assert x.bill.requests == 0
    x.scrape(f"accounts: [a, b, c], limit: {limit}")
    assert (told.requests, told.posts) == (x.bill.requests, x.bill.read["post"])
    assert told.dollars == pytest.approx(x.bill.dollars)


def test_what_is_known_of_an_account_counts(birds: Start) -> None:
    x = birds(world_of({"a": 250, "b": 120}))
    assert x.estimate("accounts: [a, b]").costs["birds"].posts == 2 * 3200
    x.troubles.planned += ["", "", "402"]
    x.scrape("accounts: [a, b]")
    told = x.estimate("accounts: [a, b]")
    assert (told.costs["birds"].posts, told.costs["birds"].dollars) == (150 + 120, pytest.approx(270 * 0.005))
    assert told.spent == pytest.approx(0.52) == x.bill.dollars
    before = x.bill.requests
    x.scrape("accounts: [a, b]")
    assert told.costs["birds"].requests == x.bill.requests - before
    assert x.estimate("accounts: [a, b]").costs["birds"].posts == 0


def test_the_table(birds: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    x = birds(world_of({}))
    x.bot("accounts: [a, b], limit: 450", cap=3)
    file = x.folder / "demo.yaml"
    file.write_text(file.read_text().replace("sources: {", "sources: {old: {url: old.txt}, "))
    del x.environment["X_BEARER_TOKEN"]
    done = CliRunner().invoke(scrape, [str(file), "--estimate"], env=x.environment, catch_exceptions=False)
    assert done.stdout.splitlines() == [
        "source  posts  requests  dollars  hours",
        "birds     900        11    4.520   0.00",
        "birds: 2 accounts, of which 2 are to be looked up first",
        "birds: $0.005 per post, $0.01 per account: X since 2026-02-01",
        "$0.00 of scrape.max_cost_usd=3 are spent this month: it stops there, and goes on the next month",
        "old: costs nothing",
    ]
    assert x.bill.requests == 0
