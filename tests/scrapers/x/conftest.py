"""A bot that reads the simulated X."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mynah.bot import Bot, load
from mynah.document import unpack
from mynah.settings import Settings
from scrapers.cost import Estimate, estimate
from scrapers.scrape import Scraped, scrape
from scrapers.x import reader
from simulators.x.api import DEMO_BEARER
from simulators.x.billing import Bill
from simulators.x.troubles import Troubles
from simulators.x.world import World
from tests.x import simulated


@dataclass
class Birds:
    """The bot `demo` with a source `birds`, and the X that it reads."""

    folder: Path
    environment: dict[str, str]
    world: World
    troubles: Troubles
    bill: Bill

    @property
    def settings(self) -> Settings:
        return Settings.read(self.environment)

    def bot(self, source: str, cap: float = 50) -> Bot:
        """`source` is the keys of the source, as YAML; its kind is x where it does not begin with another."""
        file = self.folder / "demo.yaml"
        birds = f"{{{source}}}" if source.startswith("kind:") else f"{{kind: x, {source}}}"
        file.write_text(f"bots: {{demo: {{sources: {{birds: {birds}}}, scrape: {{max_cost_usd: {cap}}}}}}}")
        return load(file)

    def scrape(self, source: str, cap: float = 50) -> Scraped:
        return scrape(self.bot(source, cap), self.settings)

    def estimate(self, source: str, cap: float = 50) -> Estimate:
        return estimate(self.bot(source, cap), self.settings)

    def stored(self) -> Counter[str]:
        """The texts in the bucket."""
        bucket = self.settings.bucket
        pages = bucket.names("demo", "raw", "birds")
        return Counter(
            document.text for page in pages for document in unpack(bucket.read("demo", "raw", "birds", page))
        )


class Counted(Bill):
    """A bill that remembers how often each thing was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[tuple[str, str]] = Counter()

    def charge(self, kind: str, ids: list[str]) -> None:
        super().charge(kind, ids)
        self.given.update((kind, id) for id in ids)


@pytest.fixture
def birds(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[World], Birds]]:
    """birds(world) starts an X with this world."""
    monkeypatch.setattr(reader, "BACK_OFF", (0.0, 0.0))
    with ExitStack() as running:

        def start(world: World, window: float = 900, bill: Bill | None = None) -> Birds:
            troubles, bill = Troubles(), bill or Bill()
            how = {"world": world, "troubles": troubles, "bill": bill, "window": window}
            environment = {
                "MYNAH_HOME": str(tmp_path / "home"),
                "DATABASE_URL": database_url,
                "X_API_URL": running.enter_context(simulated(tmp_path / "x.jsonl", **how)),
                "X_BEARER_TOKEN": DEMO_BEARER,
            }
            return Birds(tmp_path, environment, world, troubles, bill)

        yield start


def wrote(author: int, *numbers: Iterable[int]) -> Counter[str]:
    """The texts of `world_of`'s posts."""
    return Counter(f"post {number} of {author}" for some in numbers for number in some)
