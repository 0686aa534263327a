"""Scrape a bot's sources into the bucket; a document already there is not written again."""

import importlib
from dataclasses import dataclass

from mynah.bot import Bot, Source
from mynah.document import Document
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.raw import Raw

PAGE_DOCUMENTS = 10_000  # gathered before they are written: as many as a crash may cost


@dataclass(frozen=True)
class Scraped:
    """Documents by source: how many the source gave, and how many of them were new."""

    found: dict[str, int]
    new: dict[str, int]

    def summary(self) -> str:
        return "\n".join(
            f"{source}: {self.found[source]:,} documents, {self.new[source]:,} new" for source in self.found
        )


def scrape(bot: Bot, settings: Settings) -> Scraped:
    """Scrape every source of `bot`. Raises MynahError for the first that cannot be read."""
    found: dict[str, int] = {}
    new: dict[str, int] = {}
    for name, source in bot.sources.items():
        try:
            found[name], new[name] = _scrape(source, Raw(settings.bucket, bot.name, name, source.kind), settings)
        except MynahError as error:
            raise type(error)(f"bot {bot.name}, source {name}: {error}") from None
    return Scraped(found, new)


def _scrape(source: Source, raw: Raw, settings: Settings) -> tuple[int, int]:
    """Scrape one source on from where it stands; how many documents it gave, and how many were new."""
    module = importlib.import_module(f"scrapers.{source.kind}")
    cursor = raw.cursor()
    found = new = 0
    gathered: list[Document] = []
    for page in module.scrape(source, cursor, settings):
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
