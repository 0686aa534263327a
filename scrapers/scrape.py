"""Scrape a bot's sources into the bucket; a document already there is not written again."""

import importlib
import sys
from dataclasses import dataclass, field

from mynah.bot import Bot, Source
from mynah.document import Document
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.page import Context
from scrapers.raw import Raw

PAGE_DOCUMENTS = 10_000  # gathered before they are written: as many as a crash may cost


@dataclass(frozen=True)
class Scraped:
    """Documents by source: how many the source gave, how many of them were new, and what could not be read."""

    found: dict[str, int]
    new: dict[str, int]
    problems: dict[str, list[str]] = field(default_factory=dict)
    """What could not be read while the rest of the source could, a line each."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why a source could not be read; what it gave before that is kept."""

    def summary(self) -> str:
        lines = []
        for source, found in self.found.items():
            problems = len(self.problems.get(source, ()))
            told = f", {problems} problem{'s' * (problems > 1)}" if problems else ""
            lines.append(f"{source}: {found:,} documents, {self.new[source]:,} new{told}")
        return "\n".join(lines + [f"{source}: could not be read" for source in self.failed])


def scrape(bot: Bot, settings: Settings) -> Scraped:
    """Scrape every source of `bot`. One that cannot be read does not keep the others from being read.

    Problems are told on stderr when they come. Raises MynahError where there is no bucket to write to.
    """
    scraped = Scraped({}, {})
    for name, source in bot.sources.items():
        where = f"bot {bot.name}, source {name}"
        problems: list[str] = []
        raw = Raw(settings.bucket, bot.name, name, source.kind)
        try:
            context = Context(bot.name, name, settings, bot.scrape.max_cost_usd, raw.has)
            found, new = _scrape(source, raw, context, problems, where)
        except MynahError as error:
            scraped.failed[name] = str(error)
        else:
            scraped.found[name], scraped.new[name] = found, new
        if problems:
            scraped.problems[name] = problems
    return scraped


def _scrape(source: Source, raw: Raw, context: Context, problems: list[str], where: str) -> tuple[int, int]:
    """Scrape one source on from where it stands; how many documents it gave, and how many were new."""
    module = importlib.import_module(f"scrapers.{source.kind}")
    cursor = raw.cursor()
    found = new = 0
    gathered: list[Document] = []
    for page in module.scrape(source, cursor, context):
        for problem in page.problems:
            print(f"{where}: {problem}", file=sys.stderr, flush=True)
        problems += page.problems
        found += len(page.documents) + page.unchanged
        fresh = raw.unseen(page.documents)
        new += len(fresh)
        gathered += fresh
        if page.cursor != cursor or len(gathered) >= PAGE_DOCUMENTS:
            raw.write(gathered, page.cursor)
            cursor, gathered = page.cursor, []
    if gathered:
        raw.write(gathered, cursor)
    raw.save_ids()
    return found, new
