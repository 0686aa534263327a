"""Scrape a bot's sources into the bucket; a document already there is not written again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import scrapers.file
from mynah.bot import Bot
from mynah.bucket import Bucket, fingerprint
from mynah.document import Document, pack, unpack
from mynah.errors import MynahError

FILE_DOCUMENTS = 10_000  # documents a raw file: as many as a crash may cost


@dataclass(frozen=True)
class Scraped:
    """Documents by source: how many the source gave, and how many of them were new."""

    found: dict[str, int]
    new: dict[str, int]

    def summary(self) -> str:
        return "\n".join(
            f"{source}: {self.found[source]:,} documents, {self.new[source]:,} new" for source in self.found
        )


def scrape(bot: Bot, bucket: Bucket, allow_private: bool = False) -> Scraped:
    """Scrape every source of `bot`. Raises MynahError for the first that cannot be read, or gives nothing."""
    found: dict[str, int] = {}
    new: dict[str, int] = {}
    for name, source in bot.sources.items():
        seen = {document.id for document in stored(bucket, bot.name, name)}
        before = len(seen)
        counted = 0

        def unseen(documents: Iterable[Document], seen: set[str] = seen) -> Iterator[Document]:
            nonlocal counted
            for document in documents:
                counted += 1
                if document.id not in seen:
                    seen.add(document.id)
                    yield document

        documents = unseen(scrapers.file.scrape(source, allow_private))
        while chunk := list(islice(documents, FILE_DOCUMENTS)):
            ids = [document.id for document in chunk]
            file = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{fingerprint(ids)}.jsonl.zst"
            bucket.write(pack(chunk), bot.name, "raw", name, file)
        if not counted:
            raise MynahError(f"bot {bot.name}, source {name}: {source.url} holds no text")
        found[name], new[name] = counted, len(seen) - before
    return Scraped(found, new)


def stored(bucket: Bucket, bot: str, source: str) -> Iterator[Document]:
    """The documents that were scraped from a source so far."""
    for name in bucket.names(bot, "raw", source):
        yield from unpack(bucket.read(bot, "raw", source, name))
