"""`mynah search`: words in what was scraped and what was generated."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import queue
from mynah.database.tweets import Tweet
from mynah.document import Document
from mynah.errors import MynahError
from mynah.progress import progress
from mynah.scan import scan
from mynah.search import Search
from mynah.settings import Settings


@dataclass(frozen=True)
class Scraped:
    """A document as it stands in the bucket. `id` is what its source calls it, for many an address."""

    source: str
    id: str
    author: str | None
    created_at: str | None
    text: str


@dataclass(frozen=True)
class Found:
    """What has the words: tweets the newest first, documents as they were scraped, the last pages first."""

    tweets: list[Tweet]
    scraped: list[Scraped]
    notes: list[str]

    def summary(self) -> str:
        lines = [f"tweet {tweet.id}, {_stand(tweet)}: {tweet.text}" for tweet in self.tweets]
        for each in self.scraped:
            facts = [each.source, each.id, *filter(None, (each.author, each.created_at))]
            lines.append(f"{', '.join(facts)}: {each.text}")
        return "\n".join([*(lines or ["nothing has these words"]), *self.notes])


def search(bot: Bot, settings: Settings, asked: Search, limit: int, where: str | None) -> Found:
    """At most `limit` tweets and `limit` documents with these words; `where`: only "scraped" or "generated"."""
    tweets: list[Tweet] = []
    scraped: list[Scraped] = []
    notes: list[str] = []
    if where != "scraped":
        with settings.connect() as connection:
            tweets = queue.search(connection, bot.name, asked, limit)
    if where != "generated":
        try:
            for each in _scraped(bot, settings.bucket, asked):
                scraped.append(each)
                if len(scraped) == limit:
                    break
        except MynahError as error:
            notes.append(f"not all that was scraped was looked at: {error}")
    if limit in (len(tweets), len(scraped)):
        notes.append(f"there may be more: --limit {limit * 5} shows more")
    return Found(tweets, scraped, notes)


def _scraped(bot: Bot, bucket: Bucket, asked: Search) -> Iterator[Scraped]:
    files = [
        (source, name)
        for source in bot.sources
        for name in reversed(bucket.names(bot.name, "raw", source))
        if name.endswith(".jsonl.zst")
    ]
    seen: set[tuple[str, str]] = set()
    with progress("searching", len(files)) as advance:
        for number, (source, name) in enumerate(files, 1):
            for document in _having(bucket.read(bot.name, "raw", source, name), asked):
                if (source, document.id) not in seen:
                    seen.add((source, document.id))
                    yield Scraped(source, document.id, document.author, document.created_at, document.text)
            advance(number)


def _having(data: bytes, asked: Search) -> Iterator[Document]:
    return (document for document in scan(pa.BufferReader(data), asked.longest()) if asked.matches(document.text))


def _stand(tweet: Tweet) -> str:
    match tweet.state:
        case "posted":
            return f"posted {tweet.posted_at:%Y-%m-%d %H:%M}, {tweet.post_url}"
        case "rejected":
            return f"rejected ({tweet.reason})"
        case "candidate" if tweet.score is not None:
            return f"candidate, score {tweet.score:.2f}"
    return tweet.state
