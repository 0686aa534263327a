"""What reading the simulated X costs, by its own bill, beside what was told first: the part `bill` of listening."""

import tempfile
from pathlib import Path

from mynah.bot import load
from mynah.settings import Settings
from scrapers.cost import estimate
from scrapers.scrape import scrape
from simulators.x.api import DEMO_BEARER
from simulators.x.billing import Bill
from simulators.x.world import World
from tests.x import post, simulated

LEADERS, FOLLOWERS, POSTS = 5, 1500, 250
NAMES = [f"u{n}" for n in range(20)]
SOURCES = {
    "x": f"{{kind: x, accounts: [{', '.join(NAMES)}], limit: {POSTS}}}",
    "x, again": f"{{kind: x, accounts: [{', '.join(NAMES)}], limit: {POSTS}}}",
    "cohort": f"{{kind: cohort, leaders: [{', '.join(f'leader{n}' for n in range(LEADERS))}], "
    f"max_followers: {FOLLOWERS}, max_accounts: 50, limit: 5}}",
}


def measure() -> list[str]:
    """Print both; say which differ."""
    missed = []
    print(f"{'source':<10}{'told: requests':>16}{'dollars':>10}{'billed: requests':>18}{'dollars':>10}")
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as name:
        folder, bill = Path(name), Bill()
        with simulated(folder / "x.jsonl", world=_world(), bill=bill, window=1) as address:
            environment = {"MYNAH_HOME": name, "X_API_URL": address, "X_BEARER_TOKEN": DEMO_BEARER}
            for source, keys in SOURCES.items():
                file = folder / "demo.yaml"
                file.write_text(
                    f"bots: {{demo: {{sources: {{{source.split(',')[0]}: {keys}}}, scrape: {{max_cost_usd: 999}}}}}}"
                )
                bot, settings = load(file), Settings.read(environment)
                told = estimate(bot, settings)
                requests = sum(cost.requests for cost in told.costs.values())
                before = bill.requests, bill.dollars
                scraped = scrape(bot, settings)
                billed = bill.requests - before[0], round(bill.dollars - before[1], 6)
                print(f"{source:<10}{requests:>16,}{told.dollars:>10,.3f}{billed[0]:>18,}{billed[1]:>10,.3f}")
                if (requests, told.dollars) != billed or scraped.problems or scraped.failed:
                    missed.append(f"{source}: not as told {scraped.problems} {scraped.failed}")
    return missed


def _world() -> World:
    """Twenty accounts; and leaders, whose followers nobody shares, with five posts each."""
    world = World()
    for n, name in enumerate(NAMES):
        world.add({"id": str(n + 1), "username": name})
        world.write([post(n + 1, number) for number in range(POSTS + 50)])
    for n in range(LEADERS):
        ids = [str(1000 + n * FOLLOWERS + m) for m in range(FOLLOWERS)]
        world.add({"id": str(100 + n), "username": f"leader{n}", "followers": ids})
        for id in ids:
            world.add({"id": id, "username": f"f{id}"})
            world.write([post(int(id), number) for number in range(5)])
    return world
