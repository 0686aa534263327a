"""`mynah curate` in a real terminal."""

import re
import threading
from pathlib import Path

import pytest

from mynah.bucket import Bucket
from mynah.database import tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet
from mynah.document import Document, pack
from tests.terminal import Terminal, terminal

BOT = "bots: {demo: {sources: {quotes: {url: quotes.txt}}, judge: {min_words: 3}}}\n"
CORPUS = "Long ago the old king of Riga sold his golden shoes to a merchant from the south."
COPYING = "They say the old king of Riga sold his golden shoes, and wept."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bot, and a dataset of one text."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots/demo.yaml").write_text(BOT)
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "train.jsonl.zst").write_bytes(pack([Document("1", "Quite another text."), Document("2", CORPUS)]))
    (dataset / "dev.jsonl.zst").write_bytes(pack([]))
    Bucket(str(tmp_path / ".mynah/bucket")).publish(dataset, {}, "demo", "datasets", "20260101T000000-aaaaaaaa")
    return tmp_path


def state(connection: Connection, id: int) -> tuple[str, str, str | None]:
    tweet = tweets.get_tweet(connection, "demo", id)
    assert tweet
    return tweet.state, tweet.text, tweet.reason


def test_a_person_curates(folder: Path, connection: Connection, database_url: str) -> None:
    tweets.add_tweets(
        connection,
        "demo",
        [
            NewTweet(COPYING, model="m", prompt="They say", score=0.9, scores={"variety": 0.95}),
            NewTweet("A second fine text\nof two lines.", model="m", score=0.8),
            NewTweet("A third fine text of words.", model="m", score=0.7),
            NewTweet("A fourth fine text of words.", model="m", score=0.6),
        ],
    )
    tweets.add_tweets(connection, "demo", [NewTweet("The old king wept, they say.", state="approved")])
    with terminal(folder, "curate", "demo", DATABASE_URL=database_url, MYNAH_USER="ana") as page:
        shown = page.until(lambda screen: "merchant" in screen)
        for part in (
            "demo · 4 candidates · 1 approved",
            "tweet 1 · score 0.90 · weight 62 of 280 · revision 1",
            COPYING,
            "prompt   They say",
            "scores   variety 0.95",
            "word for word) Long ago the old king",
            "earlier  (tweet 5, approved, 46% alike) The old king wept, they say.",
            "a approve  r reject",
        ):
            assert part in shown
        row = next(number for number, line in enumerate(page.screen.display) if COPYING in line)
        line = page.screen.buffer[row]
        marked = "".join(line[column].data for column in range(80) if line[column].underscore)
        assert marked == "the old king of Riga sold his golden shoes"

        page.press("?")
        page.until("take back your last decision, and the one before, and so on")
        page.press("?a")
        page.until("approved: They say")
        assert state(connection, 1)[0] == "approved"
        assert "A second fine text\n of two lines." in page.text()

        page.press("wdull\r")
        page.until("you: 1 approved, 1 rejected")
        assert state(connection, 2) == ("rejected", "A second fine text\nof two lines.", "dull")

        page.press("e\x15See example.com now.\r")  # Ctrl-U: the line is emptied
        page.until("it contains a link (example.com), and")
        assert state(connection, 3)[1] == "A third fine text of words."
        page.press("\x15so so so so\r")
        page.until("judged 0.15: it repeats itself: variety 0.25, below 0.5; Enter again")
        page.press("\x15A third and better text.\r")
        page.until("edited: now decide")
        assert state(connection, 3)[:2] == ("candidate", "A third and better text.")

        page.press("s")
        page.until("A fourth fine text")
        page.press("r")
        page.until("what you skipped comes again")
        page.until("A third and better text.")

        for says in ("rejected by ana", "edited by ana", "rejected by ana (dull)", "approved by ana"):
            page.press("u")
            page.until(f"undone: it was {says}")
        page.press("u")
        page.until("nothing to undo")
        assert state(connection, 3) == ("candidate", "A third fine text of words.", None)
        assert tweets.count_states(connection, "demo")["candidate"] == 4

        page.resize(34, 12)
        narrow = page.until(lambda screen: " of Riga" in screen and "a r w e s u ? q" in screen)
        assert all(len(line) <= 34 for line in narrow.splitlines())
        page.resize(80, 24)
        page.until("a approve  r reject")

        page.press("a")
        page.until("approved: They say")
        page.press("e, and more")
        page.until("of two lines., and more")
        page.press("\x03")
        assert page.ended() == 0
        end = page.text()
    assert "2 approved, 2 rejected, 1 edited, 4 undone; 3 candidates are left" in end
    assert "your edit of tweet 2 was not finished: A second fine text" in end
    assert state(connection, 1)[0] == "approved"
    assert connection.execute("SELECT count(*) FROM curating").fetchone() == (0,)


def test_what_another_decided_meanwhile_is_said(folder: Path, connection: Connection, database_url: str) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("A first text of words."), NewTweet("A second text of words.")])
    with terminal(folder, "curate", "demo", DATABASE_URL=database_url) as page:
        page.until("A first text")
        connection.execute("SELECT set_config('mynah.user', 'bo', false)")
        tweets.decide(connection, "demo", 1, "rejected", "off topic")
        page.press("a")
        page.until("tweet 1 was rejected by bo (off topic) meanwhile")
        page.until("A second text")
        page.press("q")
        assert page.ended() == 0
    assert state(connection, 1)[0] == "rejected"


@pytest.mark.slow
def test_two_at_once_share_none(folder: Path, connection: Connection, database_url: str) -> None:
    """Each approves what it is shown, as fast as it is shown."""
    added = [NewTweet(f"The text number {n} of two hundred.", score=n / 200) for n in range(200)]
    tweets.add_tweets(connection, "demo", added)
    seen: dict[str, list[str]] = {"ana": [], "bo": []}

    def curate(page: Terminal, who: str) -> None:
        while True:
            shown = page.until(lambda screen: left(screen) or shows_another(screen, who))
            if left(shown):
                return
            seen[who].append(now(shown))
            page.press("a")

    def left(screen: str) -> bool:
        return "Nothing is left" in screen

    def now(screen: str) -> str:
        found = re.search(r"tweet (\d+) ", screen)
        return found[1] if found else ""

    def shows_another(screen: str, who: str) -> bool:
        return now(screen) not in ("", *seen[who][-1:])

    with (
        terminal(folder, "curate", "demo", DATABASE_URL=database_url, MYNAH_USER="ana") as one,
        terminal(folder, "curate", "demo", DATABASE_URL=database_url, MYNAH_USER="bo") as other,
    ):
        threads = [threading.Thread(target=curate, args=pair) for pair in ((one, "ana"), (other, "bo"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen["ana"]) + len(seen["bo"]) == 200
    assert not set(seen["ana"]) & set(seen["bo"])
    assert min(map(len, seen.values())) > 20
    rows = connection.execute("SELECT who, count(*) FROM decisions GROUP BY who ORDER BY who").fetchall()
    assert rows == [("ana", len(seen["ana"])), ("bo", len(seen["bo"]))]
