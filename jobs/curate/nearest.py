"""What a candidate is like: what it copies from the training texts, and the nearest texts there and among tweets."""

import functools
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from mynah.bot import Bot
from mynah.database import queue
from mynah.database.connection import Connection
from mynah.database.tweets import Tweet
from mynah.errors import MynahError
from mynah.recitation import RUN, Copied, run_hashes
from mynah.scan import scan
from mynah.settings import Settings
from mynah.text import WORD, words
from mynah.trained_on import copied_from, dataset_of

ASKED = 5  # of a text's words, the longest: most likely the rarest
NEAR = 0.2  # of all words of two texts, the share in both from which on it is told
LOOKED_AT = 200  # earlier tweets with one of the words
FILES = ("train.jsonl.zst", "dev.jsonl.zst")


@dataclass(frozen=True)
class Near:
    """A text that is like another. `alike`: the share of the two texts' words that both have, in 0..1."""

    text: str
    alike: float
    where: str


@dataclass(frozen=True)
class Origin:
    """How a candidate stands to the training texts: what is copied (stretches of characters), and the nearest of them.

    `note` says why nothing is known.
    """

    copied: tuple[tuple[int, int], ...] = ()
    nearest: Near | None = None
    note: str = ""


class Corpus:
    """The texts that a bot's models were trained on, as far as this machine reaches the bucket."""

    def __init__(self, settings: Settings, bot: Bot) -> None:
        self.settings, self.bot = settings, bot
        self._known = functools.lru_cache(4)(self._open)

    def origin(self, tweet: Tweet) -> Origin:
        """Look a candidate up; takes a pass over the texts. What cannot be read is said in a note."""
        if tweet.model is None:
            return Origin(note="a person wrote it")
        try:
            copied, files = self._known(tweet.model)
        except (MynahError, OSError, ValueError) as error:
            return Origin(note=f"not looked up: {error}")
        if copied is None:
            return Origin(note=f"not looked up: {self.settings.bucket.url} has no dataset of {self.bot.name}")
        spans = copied_spans(tweet.text, copied)
        try:
            return Origin(spans, self._nearest(tweet.text, spans, files))
        except (OSError, ValueError) as error:
            return Origin(spans, note=f"not looked up: {error}")

    def copied(self, tweet: Tweet) -> Copied:
        """What tells how much of a text stands in them; knows nothing where they cannot be read."""
        with suppress(MynahError, OSError, ValueError):
            return (tweet.model and self._known(tweet.model)[0]) or Copied.of(())
        return Copied.of(())

    def _open(self, model: str) -> tuple[Copied | None, list[str]]:
        bucket, bot = self.settings.bucket, self.bot.name
        if (dataset := dataset_of(bucket, bot, model)) is None:
            return None, []
        copied = copied_from(self.settings, bot, model)
        folder = bucket.fetch(
            self.settings.home / "datasets" / bot / dataset["id"], bot, "datasets", dataset["id"], FILES
        )
        return copied, [str(folder / file) for file in FILES]

    def _nearest(self, text: str, spans: tuple[tuple[int, int], ...], files: list[str]) -> Near | None:
        """The text that has the longest copied stretch; where nothing is copied, the one with most words in common."""
        longest = max(spans, key=lambda span: span[1] - span[0], default=None)
        stretch = words(text[slice(*longest)]) if longest else []
        mine = words(text)
        asked = key_words(stretch or mine)
        if not asked:
            return None
        pattern = re.compile("|".join(map(re.escape, asked)), re.IGNORECASE)
        best, nearest = 0.0, None
        for other in _texts(files, pattern):
            theirs = words(other)
            share = alike(mine, theirs)
            if (rank := share + holds(theirs, stretch)) > best:
                best, nearest = rank, Near(other, share, "the training texts")
        return nearest if best >= NEAR else None


def _texts(files: Iterable[str], pattern: re.Pattern[str]) -> Iterator[str]:
    for file in files:
        with suppress(FileNotFoundError), pa.OSFile(file, "rb") as source:
            for document in scan(source, pattern):
                yield document.text


def earlier(connection: Connection, tweet: Tweet) -> Near | None:
    """The text most like this one of those that the bot has posted or is to post; None where none comes near."""
    mine = words(tweet.text)
    asked = key_words(mine)
    if not asked:
        return None
    found = [
        Near(other.text, alike(mine, words(other.text)), f"tweet {other.id}, {other.state}")
        for other in queue.near(connection, tweet, asked, LOOKED_AT)
    ]
    best = max(found, key=lambda near: near.alike, default=None)
    return best if best and best.alike >= NEAR else None


def copied_spans(text: str, copied: Copied) -> tuple[tuple[int, int], ...]:
    """The stretches of a text that stand word for word in the training texts: runs of RUN words and more."""
    if copied.is_whole(text):
        return ((0, len(text)),)
    places = [found.span() for found in WORD.finditer(text)]
    spans: list[tuple[int, int]] = []
    for number, run in enumerate(run_hashes(text)):
        if run in copied.runs:
            begin, end = places[number][0], places[number + RUN - 1][1]
            if spans and begin <= spans[-1][1]:
                begin = spans.pop()[0]
            spans.append((begin, end))
    return tuple(spans)


def key_words(found: list[str]) -> list[str]:
    """The longest of these words: most likely the rarest."""
    return sorted(set(found), key=lambda word: (-len(word), word))[:ASKED]


def alike(one: Collection[str], other: Collection[str]) -> float:
    """The share of two texts' words that both have; one of them has a word at least."""
    mine, theirs = set(one), set(other)
    return len(mine & theirs) / len(mine | theirs)


def holds(found: list[str], stretch: list[str]) -> bool:
    """Whether a text's words have these in a row."""
    return bool(stretch) and f" {' '.join(stretch)} " in f" {' '.join(found)} "
