"""Texts in and out by file: all or none, nothing twice, and what was posted stays posted."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.curate.exchange import read_in, write_out
from mynah.bot import Bot, FileSource, Judge
from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter, every
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError, UsageError
from mynah.text import fold_spaces

BOT = Bot(name="demo", sources={"none": FileSource(url="none.txt")}, judge=Judge(allow_mentions=True))
REFERENCE = """\
id,tweet,tweet_timestamp,tweet_url
17,"A posted text,
of two lines.",2021-03-04 05:06:07,https://twitter.com/bot/status/1367000000000000001
18,"A text that waits.",,
19,Another one,NULL,null
"""


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_reference_systems_table(connection: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "tweets.csv", REFERENCE)
    done = read_in(BOT, connection, path, None)
    assert done.summary() == f"{path}: 2 candidates, 0 approved, 1 posted before, 0 known already"
    first, *rest = every(connection, "demo")
    assert (first.state, first.text) == ("posted", "A posted text,\nof two lines.")
    assert first.post_url == "https://twitter.com/bot/status/1367000000000000001"
    assert first.post_id == "1367000000000000001"
    assert f"{first.posted_at:%Y-%m-%d %H:%M:%S}" == "2021-03-04 05:06:07"
    assert [tweet.state for tweet in rest] == ["candidate", "candidate"]
    assert posts.claim(connection, "demo", "main") is None
    assert posts.claim(connection, "demo", "another account") is None

    again = read_in(BOT, connection, path, None)
    assert (again.candidates, again.posted, again.known) == (0, 0, 3)
    assert len(every(connection, "demo")) == 3


def test_a_text_of_the_bot_that_was_posted_elsewhere_is_not_posted_again(
    connection: Connection, tmp_path: Path
) -> None:
    added = [NewTweet("Waiting.", state="approved"), NewTweet("Doubtful.", state="approved")]
    tweets.add_tweets(connection, "demo", added)
    while (row := posts.claim(connection, "demo", "main")) and row.tweet_id != 2:
        posts.give_back(connection, row.id)
    assert row
    posts.doubt(connection, row.id, "the answer was lost")
    path = written(
        tmp_path / "old.csv",
        "tweet,tweet_timestamp,tweet_url\nWaiting.,2021-01-01,https://x.com/a/1\nDoubtful.,2021-01-01,https://x.com/a/2\n",
    )
    assert read_in(BOT, connection, path, None).posted == 2
    assert posts.claim(connection, "demo", "main") is None
    assert tweets.count_states(connection, "demo")["posted"] == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tweet\nfine\n\nalso\n , \n", "line 5 has more fields than line 1 names"),
        ("tweet,tweet_url\nfine,\nbad,https://x.com/1\n", "line 3: a post has a time and an address"),
        ('tweet,state\n"fine\nmore",candidate\nbad,sold\n', "line 4: state sold: take candidate, approved or rejected"),
        ("tweet,state\nsee example.com,approved\n", "line 2: the text cannot be posted: it contains a link"),
        ("tweet,score\nfine,2\nfine too,x\n", "line 2: score 2 is no number from 0 to 1; line 3: score x is no"),
        (
            "tweet,tweet_timestamp,tweet_url\na b,soon,https://x.com/1\n",
            "line 2: time soon is none such as 2026-11-27 15:00:00",
        ),
        (
            "tweet,tweet_timestamp,tweet_url\na,2021-01-01,https://x.com/1\nb,2021-01-01,https://x.com/1\n",
            "line 3: post_url is that of line 2 too",
        ),
        ("joke\nfine\n", "line 1 names no column text or tweet; it has joke"),
        ("", "line 1 names no column text or tweet; it has nothing"),
        ('tweet\nfine\n"open', "line 3: unexpected end of data"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_stored(connection: Connection, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MynahError) as error:
        read_in(BOT, connection, written(tmp_path / "bad.csv", text), None)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert every(connection, "demo") == []


def test_an_address_of_another_text_stops_all(connection: Connection, tmp_path: Path) -> None:
    head = "text,posted_at,post_url\n"
    read_in(BOT, connection, written(tmp_path / "one.csv", head + "one,2021-01-01,https://x.com/a/1\n"), None)
    rows = head + "new,,\nother,2021-01-01,https://x.com/a/1\n"
    with pytest.raises(MynahError, match="https://x.com/a/1 is the post of another text of demo already"):
        read_in(BOT, connection, written(tmp_path / "two.csv", rows), None)
    assert len(every(connection, "demo")) == 1


def test_lines_of_json(connection: Connection, tmp_path: Path) -> None:
    lines = ['{"tweet": "One\\nof two."}', "", '{"text": "=2+2", "state": "approved", "score": 0.5}']
    done = read_in(BOT, connection, written(tmp_path / "in.jsonl", "\n".join(lines)), None)
    assert (done.candidates, done.approved) == (1, 1)
    with pytest.raises(MynahError, match=r"line 2: no JSON \("):
        read_in(BOT, connection, written(tmp_path / "bad.jsonl", '{"text": "x"}\n{'), None)
    with pytest.raises(MynahError, match="line 1: no JSON object"):
        read_in(BOT, connection, written(tmp_path / "bad.jsonl", "[]"), None)
    with pytest.raises(UsageError, match=r"name a file that ends in \.csv or \.jsonl"):
        read_in(BOT, connection, written(tmp_path / "bad.txt", ""), None)
    assert len(every(connection, "demo")) == 2


def test_a_spreadsheet_takes_nothing_for_a_formula(connection: Connection, tmp_path: Path) -> None:
    texts = ["=HYPERLINK(1)", "+1", "-1 degrees", "@name", "'=quoted", "fine = fine", "'tis fine"]
    tweets.add_tweets(connection, "demo", [NewTweet(text) for text in texts])
    assert write_out(BOT, connection, str(tmp_path / "out.csv"), None, False).startswith("7 texts in ")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert cells == ["'=HYPERLINK(1)", "'+1", "'-1 degrees", "'@name", "''=quoted", "fine = fine", "'tis fine"]
    write_out(BOT, connection, str(tmp_path / "out.jsonl"), Filter(search="fine"), False)
    found = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(found) == ["'tis fine", "fine = fine"]


TEXTS = st.text(st.sampled_from("ab'=+-@\t\r\n\",;ж😀 "), min_size=1, max_size=12).filter(
    lambda text: text.strip() != ""
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=8, unique_by=fold_spaces), form=st.sampled_from(["csv", "jsonl"]))
def test_what_goes_out_comes_in_again(connection: Connection, tmp_path: Path, texts: list[str], form: str) -> None:
    """Texts, states, reasons, scores and posts, whatever the texts are made of."""
    facts = "SELECT btrim(text, E' \\t\\r\\n'), state, reason, score, posted_at, post_url FROM tweets ORDER BY id"
    connection.execute("TRUNCATE tweets, posts RESTART IDENTITY CASCADE")
    states = ("candidate", "approved", "rejected")
    for number, text in enumerate(texts):
        state = states[number % 3]
        reason = "=dull" if state == "rejected" else None
        tweets.add_tweets(connection, "demo", [NewTweet(text, state, reason, prompt="-p", score=number / 8)])
    if row := posts.claim(connection, "demo", "main"):
        posts.record(connection, row.id, "1", "https://x.com/a/1")
    before = connection.execute(facts).fetchall()
    path = str(tmp_path / f"all.{form}")
    write_out(BOT, connection, path, None, False)
    assert read_in(BOT, connection, path, None).known == len(texts)
    connection.execute("TRUNCATE tweets, posts RESTART IDENTITY CASCADE")
    read_in(BOT, connection, path, None)
    assert connection.execute(facts).fetchall() == before
