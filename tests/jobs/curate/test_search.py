"""`mynah search`: the same words find the same texts in Postgres and in the bucket."""

from pathlib import Path

import pytest

from jobs.curate.search import search
from mynah.bot import Bot, FileSource
from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet
from mynah.document import Document, pack
from mynah.errors import UsageError
from mynah.search import Search
from mynah.settings import Settings

BOT = Bot(name="demo", sources={"news": FileSource(url="none.txt")})
TEXTS = [
    "The old king sleeps.",
    "A KING, old and wise.",
    "My kingdom for it.",
    "Старый король спит.",
    'He said: "old" king.',
]


@pytest.fixture
def home(tmp_path: Path, connection: Connection, database_url: str) -> Settings:
    settings = Settings.read({"MYNAH_HOME": str(tmp_path), "DATABASE_URL": database_url})
    tweets.add_tweets(connection, "demo", [NewTweet(text, score=0.5) for text in TEXTS])
    documents = [Document(f"https://example.com/{n}", text, "Ana", "2026-01-02") for n, text in enumerate(TEXTS)]
    settings.bucket.write(pack(documents[:3]), "demo", "raw", "news", "20260101T000000-a.jsonl.zst")
    settings.bucket.write(pack(documents[3:], {"at": 1}), "demo", "raw", "news", "20260102T000000-b.jsonl.zst")
    settings.bucket.write(pack(documents[:1]), "demo", "raw", "news", "20260103T000000-c.jsonl.zst")
    return settings


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("king", {0, 1, 4}),
        ("KING old", {0, 1, 4}),
        ('"old king"', {0, 4}),
        ("kin*", {0, 1, 2, 4}),
        ("kin* -old", {2}),
        ("-sleeps king", {1, 4}),
        ("король", {3}),
        ("КОРОЛЬ стар*", {3}),
        ("queen", set()),
        ('"the old kin*"', {0}),
    ],
)
def test_words(home: Settings, words: str, found: set[int]) -> None:
    result = search(BOT, home, Search.read(words), 20, None)
    assert {tweet.id - 1 for tweet in result.tweets} == found
    assert {TEXTS.index(each.text) for each in result.scraped} == found
    assert len(result.scraped) == len(found)  # the same document in two pages is one


def test_where_each_stands(home: Settings, connection: Connection) -> None:
    tweets.decide(connection, "demo", 1, "approved")
    post = posts.claim(connection, "demo", "main")
    assert post
    posts.record(connection, post.id, "9", "https://x.com/9")
    tweets.decide(connection, "demo", 2, "rejected", "dull")
    said = search(BOT, home, Search.read("king -said"), 20, None).summary().splitlines()
    assert said[0] == "tweet 2, rejected (dull): A KING, old and wise."
    assert said[1].startswith("tweet 1, posted 20")
    assert said[1].endswith(", https://x.com/9: The old king sleeps.")
    assert "news, https://example.com/1, Ana, 2026-01-02: A KING, old and wise." in said
    few = search(BOT, home, Search.read("king"), 1, "generated")
    assert few.scraped == []
    assert few.summary().endswith("there may be more: --limit 5 shows more")
    assert search(BOT, home, Search.read("king"), 20, "scraped").tweets == []


@pytest.mark.parametrize("words", ["", " - ", "-king", "*", '""'])
def test_no_word_to_look_for(words: str) -> None:
    with pytest.raises(UsageError, match="no word to look for in"):
        Search.read(words)
