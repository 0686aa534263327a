"""What a scrape would cost, before anything is asked: by what the cursors know, else by what the bot file allows."""

import importlib
from dataclasses import dataclass

from mynah.bot import Bot
from mynah.database import spend
from mynah.settings import Settings
from scrapers.page import Context
from scrapers.raw import Raw


@dataclass(frozen=True)
class Cost:
    """What reading one source takes, at most where nothing else is said."""

    posts: int
    requests: int
    dollars: float
    hours: float
    """Until the service's limits of requests let all of them pass."""
    prices: str
    """Whose prices, and from when on."""
    note: str = ""
    """What stands behind the numbers."""


@dataclass(frozen=True)
class Estimate:
    """What reading a bot's sources would cost."""

    costs: dict[str, Cost]
    free: list[str]
    """Sources that cost nothing."""
    dollars: float = 0.0
    spent: float = 0.0
    """Dollars, this month."""
    max_cost_usd: float = 0.0

    def summary(self) -> str:
        lines = []
        if self.costs:
            rows = [("source", "posts", "requests", "dollars", "hours")]
            rows += [
                (name, f"{cost.posts:,}", f"{cost.requests:,}", f"{cost.dollars:,.3f}", f"{cost.hours:,.2f}")
                for name, cost in self.costs.items()
            ]
            if len(self.costs) > 1:
                posts, requests = (
                    sum(getattr(cost, of) for cost in self.costs.values()) for of in ("posts", "requests")
                )
                hours = sum(cost.hours for cost in self.costs.values())
                rows.append(("all", f"{posts:,}", f"{requests:,}", f"{self.dollars:,.3f}", f"{hours:,.2f}"))
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += [
                "  ".join(
                    f"{cell:<{w}}" if n == 0 else f"{cell:>{w}}"
                    for n, (cell, w) in enumerate(zip(row, widths, strict=True))
                )
                for row in rows
            ]
            lines += [f"{name}: {cost.note}" for name, cost in self.costs.items() if cost.note]
            lines += [f"{name}: {cost.prices}" for name, cost in self.costs.items()]
            rest = max(self.max_cost_usd - self.spent, 0)
            stops = ": it stops there, and goes on the next month" if self.dollars > rest else ""
            lines.append(f"${self.spent:,.2f} of scrape.max_cost_usd={self.max_cost_usd:g} are spent this month{stops}")
        lines += [f"{name}: costs nothing" for name in self.free]
        return "\n".join(lines)


def estimate(bot: Bot, settings: Settings) -> Estimate:
    """What a scrape of `bot` would cost now. No service that costs money is asked anything."""
    costs, free = {}, []
    for name, source in bot.sources.items():
        kind = importlib.import_module(f"scrapers.{source.kind}")
        if tell := getattr(kind, "estimate", None):
            cursor = Raw(settings.bucket, bot.name, name, source.kind).cursor()
            costs[name] = tell(source, cursor, Context(bot.name, name, settings, bot.scrape.max_cost_usd))
        else:
            free.append(name)
    if not costs:
        return Estimate({}, free)
    with settings.connect() as connection:
        spent = float(spend.spent(connection, bot.name))
    dollars = round(sum(cost.dollars for cost in costs.values()), 6)
    return Estimate(costs, free, dollars, spent, bot.scrape.max_cost_usd)
