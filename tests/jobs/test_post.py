"""The poster: what it does with each outcome, killed at the worst moments, and by rules that hypothesis tries out."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.accounts import Outcome
from jobs.accounts.outbox import Outbox
from jobs.accounts.x import XAccount
from jobs.post import Result, last_due, post
from jobs.settle import decide
from mynah.bot import Bot
from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.database.posts import Post
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError
from simulators.x.api import DEMO_KEYS
from tests.scripted_account import Killed, Scripted, let_pass

KEYS = tuple(DEMO_KEYS.values())
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def approve(connection: Connection, *texts: str, bot: str = "demo") -> None:
    tweets.add_tweets(connection, bot, [NewTweet(text, state="approved") for text in texts])


def rows(connection: Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT text, state FROM tweets ORDER BY id").fetchall())


def reason(connection: Connection) -> str | None:
    (found,) = connection.execute("SELECT reason FROM tweets").fetchone() or (None,)
    return found


def run(bot: Bot, connection: Connection, account: Any, **keywords: Any) -> Result:
    return post(bot, "main", connection, account, pause=0, **{"now": keywords.get("slot"), **keywords})


def test_posts_one_and_records_it(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted()
    result = run(bot, connection, account)
    assert result.outcome == "posted"
    assert account.posts == [result.text]
    assert result.left == 1
    assert "posted tweet" in result.summary()
    row = tweets.get_tweet(connection, "demo", result.tweet or 0)
    assert row is not None
    assert (row.state, row.post_id, row.post_url) == ("posted", "1", "https://example.com/the-script/1")
    assert sorted(rows(connection).values()) == ["approved", "posted"]


def test_nothing_to_post(bot: Bot, connection: Connection) -> None:
    approve(connection, "another bot's", bot="other")
    result = run(bot, connection, Scripted())
    assert result.outcome == "nothing"
    assert "approve some with `mynah curate demo`" in result.summary()


def test_a_dry_run_changes_nothing(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted()
    result = run(bot, connection, account, dry_run=True)
    assert result.outcome == "dry run"
    assert result.summary().endswith("(weight 3 of 280):\none")
    assert (account.attempts, rows(connection)) == (0, {"one": "approved"})
    connection.execute("UPDATE tweets SET text = 'see example.com'")
    assert run(bot, connection, account, dry_run=True).outcome == "nothing"
    assert rows(connection) == {"see example.com": "approved"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("see example.com now", "contains a link (example.com), and judge.allow_links is false"),
        ("x" * 281, "weighs 281 of at most 280"),
        ("a\ufeffb", "U+FEFF"),
    ],
)
def test_an_unfit_text_is_rejected_and_the_next_taken(bot: Bot, connection: Connection, text: str, why: str) -> None:
    approve(connection, text)
    account = Scripted()
    result = run(bot, connection, account)
    assert (result.outcome, account.attempts) == ("nothing", 0)
    assert why in str(reason(connection))
    assert why in result.notes[0]

    approve(connection, "fit", text + " ")
    assert run(bot, connection, account).text == "fit" or run(bot, connection, account).outcome == "nothing"
    assert account.posts == ["fit"]


def test_what_the_bot_file_allows_is_posted(bot: Bot, connection: Connection) -> None:
    approve(connection, "see example.com " + "x" * 300)
    allowing = bot.model_copy(update={"judge": bot.judge.model_copy(update={"allow_links": True, "max_weight": 1000})})
    assert run(allowing, connection, Scripted()).outcome == "posted"


@pytest.mark.parametrize(
    ("step", "state", "why", "says"),
    [
        ("refuse", "rejected", "it says 400: bad text", "it is rejected; run again to post another"),
        ("duplicate", "rejected", "it says 403: duplicate content", "it is rejected"),
        ("limit", "approved", None, "the limit is reached until 2027-01-02 03:04:05 UTC; it stays approved"),
        ("no keys", "approved", None, "it says 401: wrong keys; it stays approved"),
        ("lose the request", "unknown", "the answer was lost", "nobody knows whether it was posted"),
        ("post late", "unknown", "the answer was lost", "nobody knows whether it was posted"),
    ],
)
def test_what_becomes_of_a_text_that_was_not_posted(
    bot: Bot, connection: Connection, step: str, state: str, why: str | None, says: str
) -> None:
    approve(connection, "one")
    with pytest.raises(MynahError) as error:
        run(bot, connection, Scripted([step]))
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert (rows(connection), reason(connection)) == ({"one": state}, why)


def test_a_lost_answer_is_looked_up(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    assert run(bot, connection, Scripted(["post and lose the answer"])).outcome == "posted"
    assert rows(connection) == {"one": "posted"}


def test_a_lost_answer_that_cannot_be_looked_up(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(["post and lose the answer"], blind=True)
    with pytest.raises(MynahError, match="the answer was lost; the timeline cannot be read; nobody knows"):
        run(bot, connection, account)
    assert rows(connection) == {"one": "unknown"}


def test_a_duplicate_that_cannot_be_looked_up_is_left_for_the_next_run(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(posts=["one"], blind=True)
    with pytest.raises(MynahError, match="the timeline cannot be read; nobody knows"):
        run(bot, connection, account)
    assert rows(connection) == {"one": "unknown"}
    account.blind = False
    assert run(bot, connection, account).outcome == "posted"
    assert (rows(connection), account.posts) == ({"one": "posted"}, ["one"])


def test_a_text_that_the_account_has_already(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(posts=["one"])
    assert run(bot, connection, account).outcome == "posted"
    assert (rows(connection), account.posts) == ({"one": "posted"}, ["one"])


def test_two_bots_on_one_account_with_one_text(bot: Bot, connection: Connection) -> None:
    account = Scripted()
    approve(connection, "one")
    approve(connection, "one", bot="other")
    assert run(bot, connection, account).outcome == "posted"
    result = run(bot.model_copy(update={"name": "other"}), connection, account)
    assert result.outcome == "nothing"
    assert "had this text already" in result.notes[0]
    states = connection.execute("SELECT bot, state FROM tweets ORDER BY bot").fetchall()
    assert states == [("demo", "posted"), ("other", "rejected")]


def test_an_unknown_one_that_shows_later_is_recorded(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(["post late"])
    with pytest.raises(MynahError):
        run(bot, connection, account)
    let_pass(connection, 9)
    assert run(bot, connection, account).outcome == "nothing"
    assert rows(connection) == {"one": "unknown"}  # it may still appear
    account.blind = True
    let_pass(connection, 60)
    assert run(bot, connection, account).notes == ("1 post stays in doubt: the timeline cannot be read",)
    account.blind, account.hidden = False, 0
    assert "had been posted" in run(bot, connection, account).notes[0]
    assert rows(connection) == {"one": "posted"}


def test_an_unknown_one_that_never_shows_goes_back_by_itself(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(["lose the request"])
    with pytest.raises(MynahError):
        run(bot, connection, account, slot=NOON)
    let_pass(connection, 11)
    result = run(bot, connection, account, slot=NOON)
    assert result.notes == ("tweet 1 had not been posted: approved again",)
    assert (result.outcome, account.posts) == ("posted", ["one"])


def test_one_that_differs_in_links_alone_is_left_to_a_person(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["die after"])
    with pytest.raises(Killed):
        run(bot, connection, account)
    (made,) = account.posts
    account.unclear = {made}
    let_pass(connection, 60)
    result = run(bot, connection, account)
    (note,) = result.notes
    assert "https://example.com/the-script/1 differs from it in nothing but links. Is it this post?" in note
    assert sorted(rows(connection).values()) == ["posted", "unknown"]

    account.reads.clear()
    assert run(bot, connection, account).notes == ()  # nobody is asked again and again
    (doubt,) = posts.unknown(connection, "demo", "main")
    assert doubt.for_a_person
    said = decide(connection, "demo", "main", doubt.tweet_id, there=True, url=None)
    assert said.summary() == f"tweet {doubt.tweet_id} is posted to main: https://example.com/the-script/1"
    assert set(rows(connection).values()) == {"posted"}


def test_a_person_says_that_it_is_not_there(bot: Bot, connection: Connection, database_url: str) -> None:
    approve(connection, "one")
    account = Scripted(["lose the request"], blind=True)
    with pytest.raises(MynahError):
        run(bot, connection, account, slot=NOON)
    with pytest.raises(MynahError, match="tweet 7 is not in doubt on demo's account main"):
        decide(connection, "demo", "main", 7, there=False, url=None)
    with pytest.raises(MynahError, match="say where tweet 1 is, with its address: --url https"):
        decide(connection, "demo", "main", 1, there=True, url=None)
    with (
        psycopg.connect(database_url, autocommit=True) as other,
        posts.poster_lock(other, "demo", "main"),
        pytest.raises(MynahError, match="a poster of demo to main is at work"),
    ):
        decide(connection, "demo", "main", 1, there=False, url=None)
    assert "may be posted again" in decide(connection, "demo", "main", 1, there=False, url=None).summary()
    account.blind = False
    assert run(bot, connection, account, slot=NOON).outcome == "posted"


def test_a_post_cannot_be_two_tweets(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["post", "lose the request"])
    url = run(bot, connection, account).post_url
    with pytest.raises(MynahError):
        run(bot, connection, account)
    (doubt,) = posts.unknown(connection, "demo", "main")
    with pytest.raises(MynahError, match="is another tweet's post"):
        decide(connection, "demo", "main", doubt.tweet_id, there=True, url=url)
    decide(connection, "demo", "main", doubt.tweet_id, there=True, url="https://x.com/me/status/77/")
    assert posts.list_posts(connection, "demo", 1, tweet=doubt.tweet_id)[0].post_id == "77"


def test_a_person_is_asked_after_a_day_and_the_account_still_is(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(["lose the request"], blind=True)
    with pytest.raises(MynahError):
        run(bot, connection, account)
    assert not posts.unknown(connection, "demo", "main")[0].for_a_person
    let_pass(connection, 25 * 60)
    run(bot, connection, account)
    assert posts.unknown(connection, "demo", "main")[0].for_a_person
    account.blind = False
    assert run(bot, connection, account).outcome == "posted"


def test_one_reading_serves_all_rows_in_doubt(bot: Bot, connection: Connection) -> None:
    texts = [f"text {number}" for number in range(9)]
    approve(connection, *texts)
    account = Scripted(["post and lose the answer", "lose the request", "post and lose the answer"] * 3, blind=True)
    for _ in texts:
        with pytest.raises(MynahError, match="nobody knows"):
            run(bot, connection, account)
    assert set(rows(connection).values()) == {"unknown"}
    let_pass(connection, 60)
    account.blind = False
    account.reads.clear()
    run(bot, connection, account)
    assert account.reads == [(8, None)] * 2  # six posts, of which a page has all; the second is for the likes
    assert list(rows(connection).values()).count("posted") == 7
    assert list(rows(connection).values()).count("approved") == 2


def test_a_reading_goes_on_where_it_failed(bot: Bot, connection: Connection) -> None:
    """Three of four pages fail, and a reading has five: begun anew each time, it would hardly ever end."""
    texts = [f"text {number}" for number in range(30)]
    approve(connection, "wanted")
    account = Scripted(["lose the request"], failing=[True] * 6)
    with pytest.raises(MynahError, match="nobody knows"):
        run(bot, connection, account)
    let_pass(connection, 60)
    account.posts = texts  # others post there too
    account.failing = [False, True, True, True, False, True, True, False, False, False]
    account.reads.clear()
    stopped = run(bot, connection, account)
    assert stopped.notes == ("1 post stays in doubt: the timeline cannot be read",)
    assert account.reads == [(2, None)] + [(4, "2")] * 3
    account.reads.clear()
    assert run(bot, connection, account).outcome == "posted"
    assert account.reads[:5] == [(2, "2"), (4, "4"), (4, "4"), (4, "4"), (8, "8")]
    assert account.posts[-1] == "wanted"


def test_what_came_after_a_reading_stopped_is_read_for_anew(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["lose the request", "die before"], failing=[True] * 6)
    with pytest.raises(MynahError, match="nobody knows"):
        run(bot, connection, account)
    let_pass(connection, 60)
    account.posts = [f"text {number}" for number in range(4)]
    account.failing = [False, True, True, True]
    with pytest.raises(Killed):
        run(bot, connection, account)
    (claimed,) = posts.list_posts(connection, "demo", 9, state="claimed")
    account.posts.append(claimed.text)
    account.reads.clear()
    result = run(bot, connection, account)
    assert result.notes[0].endswith("had not been posted: approved again")
    assert "had been posted" in result.notes[1]
    assert account.reads[0] == (2, "2")
    assert (2, None) in account.reads


def test_killed_before_posting(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    account = Scripted(["die before"])
    with pytest.raises(Killed):
        run(bot, connection, account)
    approve(connection, "two")
    assert run(bot, connection, account).text == "two"  # doubt about one does not hold the others
    assert rows(connection) == {"one": "unknown", "two": "posted"}

    let_pass(connection, 11)
    result = run(bot, connection, account)
    assert (result.outcome, result.text) == ("posted", "one")
    assert "had not been posted: approved again" in result.notes[0]
    assert sorted(account.posts) == ["one", "two"]


def test_killed_after_posting(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["die after"])
    with pytest.raises(Killed):
        run(bot, connection, account)
    again = run(bot, connection, account)
    assert again.outcome == "posted"  # that of the killed run: one a schedule
    assert "had been posted" in again.notes[0]
    assert len(account.posts) == 1
    assert sorted(rows(connection).values()) == ["approved", "posted"]


def test_killed_after_posting_long_ago(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["die after"])
    with pytest.raises(Killed):
        run(bot, connection, account)
    let_pass(connection, 180)
    assert run(bot, connection, account).outcome == "posted"
    assert sorted(account.posts) == ["one", "two"]
    assert set(rows(connection).values()) == {"posted"}


def test_what_a_killed_one_left_cannot_be_looked_up(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["die after"])
    with pytest.raises(Killed):
        run(bot, connection, account, slot=NOON)
    let_pass(connection, 180)
    account.blind = True
    with pytest.raises(MynahError, match="nobody knows yet whether the post of 2026-11-21 12:00 UTC, tweet ., is on"):
        run(bot, connection, account, slot=NOON)
    assert len(account.posts) == 1
    assert sorted(rows(connection).values()) == ["approved", "unknown"]


def test_a_time_of_the_schedule_has_one_post(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two", "three")
    account = Scripted()
    assert run(bot, connection, account, slot=NOON).outcome == "posted"
    second = run(bot, connection, account, slot=NOON)
    assert second.outcome == "nothing"
    assert "the post of 2026-11-21 12:00 UTC is made already: tweet" in second.summary()
    assert run(bot, connection, account, slot=NOON + timedelta(hours=3)).outcome == "posted"
    assert run(bot, connection, account).outcome == "posted"  # a person posts when a person likes
    assert len(account.posts) == 3


def test_a_time_whose_post_was_refused_has_another(bot: Bot, connection: Connection) -> None:
    approve(connection, "one", "two")
    account = Scripted(["refuse"])
    with pytest.raises(MynahError):
        run(bot, connection, account, slot=NOON)
    assert run(bot, connection, account, slot=NOON).outcome == "posted"
    assert run(bot, connection, account, slot=NOON).outcome == "nothing"
    assert len(account.posts) == 1


@pytest.mark.parametrize(("step", "minutes"), [("die after", 60), ("post late", 9)])
def test_a_time_whose_post_may_be_made_has_no_other(bot: Bot, connection: Connection, step: str, minutes: int) -> None:
    approve(connection, "one", "two")
    account = Scripted([step])
    with pytest.raises((Killed, MynahError)):
        run(bot, connection, account, slot=NOON)
    let_pass(connection, minutes)
    if step == "post late":
        with pytest.raises(MynahError, match="nobody knows yet"):  # so that its Job tries again
            run(bot, connection, account, slot=NOON)
    else:
        assert run(bot, connection, account, slot=NOON).outcome == "nothing"
    assert len(account.posts) == 1
    assert run(bot, connection, account, slot=NOON + timedelta(hours=3)).outcome == "posted"


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-21T11:59:40+00:00", "2026-11-21T09:00:00+00:00"),
        ("2026-11-21T11:59:55+00:00", "2026-11-21T12:00:00+00:00"),  # started by a clock that is ahead
        ("2026-11-21T12:00:00+00:00", "2026-11-21T12:00:00+00:00"),
        ("2026-11-21T12:04:00+00:00", "2026-11-21T12:00:00+00:00"),
    ],
)
def test_which_time_a_scheduled_run_is_for(bot: Bot, now: str, due: str) -> None:
    assert last_due(bot.post, datetime.fromisoformat(now)) == datetime.fromisoformat(due)


def test_the_schedule_goes_by_its_own_clock(bot: Bot) -> None:
    kolkata = bot.model_copy(update={"post": bot.post.model_copy(update={"time_zone": "Asia/Kolkata"})})
    assert last_due(kolkata.post, NOON) == datetime.fromisoformat("2026-11-21T15:00:00+05:30")


def test_a_text_goes_to_each_account_once(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    main, news = Scripted(name="main"), Scripted(["refuse"], name="news")
    assert run(bot, connection, main).outcome == "posted"
    with pytest.raises(MynahError, match="posting tweet 1 to news: it says 400"):
        post(bot, "news", connection, news, pause=0)
    assert post(bot, "news", connection, news, pause=0).outcome == "nothing"
    result = post(bot, "tryout", connection, Scripted(name="tryout"), pause=0)
    assert (result.outcome, result.account) == ("posted", "tryout")
    assert run(bot, connection, main).outcome == "nothing"
    assert rows(connection) == {"one": "posted"}


def test_each_account_has_its_own_times_and_lock(bot: Bot, connection: Connection, database_url: str) -> None:
    approve(connection, "one", "two")
    main, news = Scripted(name="main"), Scripted(name="news")
    assert run(bot, connection, main, slot=NOON).outcome == "posted"
    with psycopg.connect(database_url, autocommit=True) as other, posts.poster_lock(other, "demo", "main"):
        assert post(bot, "news", connection, news, pause=0, slot=NOON, now=NOON).outcome == "posted"
    assert post(bot, "news", connection, news, pause=0, slot=NOON, now=NOON).outcome == "nothing"
    assert len(main.posts) == len(news.posts) == 1


def test_doubt_about_one_account_does_not_hold_another(bot: Bot, connection: Connection) -> None:
    approve(connection, "one")
    with pytest.raises(MynahError):
        run(bot, connection, Scripted(["post late"]))
    assert rows(connection) == {"one": "unknown"}
    assert post(bot, "news", connection, Scripted(name="news"), pause=0).outcome == "posted"
    assert rows(connection) == {"one": "unknown"}


def test_the_database_goes_away_after_posting(bot: Bot, connection: Connection, database_url: str) -> None:
    approve(connection, "one")
    account = Scripted()
    with psycopg.connect(database_url, autocommit=True) as other:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)

        class Cut(Scripted):
            def post(self, post: Post) -> Outcome:
                outcome = account.post(post)
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
                return outcome

        with pytest.raises(MynahError, match=r"^Postgres went away \(.*\): run again, which finds out"):
            run(bot, connection, Cut())
        assert run(bot, other, account).outcome == "posted"
        assert (rows(other), account.posts) == ({"one": "posted"}, ["one"])


def test_the_outbox(bot: Bot, connection: Connection, tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox/demo.jsonl")
    approve(connection, "one ✓")
    result = run(bot, connection, box)
    assert result.summary().startswith(f"posted tweet {result.tweet} to the outbox {tmp_path}")
    (line,) = box.path.read_text().splitlines()
    assert f'"text": "one ✓", "tweet": {result.tweet}, "posted_at": "20' in line
    assert result.post_url == f"{box.path.as_uri()}#{result.post_id}"


def test_the_outbox_cannot_be_written(bot: Bot, connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    approve(connection, "one")
    with pytest.raises(MynahError, match=r"cannot be written: .*; it stays approved; run again later"):
        run(bot, connection, Outbox(tmp_path / "outbox/demo.jsonl"))
    assert rows(connection) == {"one": "approved"}


def test_an_outbox_that_knows_the_text_from_an_older_database(
    bot: Bot, connection: Connection, tmp_path: Path, row: Post
) -> None:
    box = Outbox(tmp_path / "demo.jsonl")
    box.post(replace(row, text="one"))
    approve(connection, "one")
    assert run(bot, connection, box).outcome == "posted"
    assert len(box.path.read_text().splitlines()) == 1


# Posters that are killed by SIGKILL, in processes of their own. The account is the outbox or the X simulator.


def open_account(where: str) -> Any:
    return XAccount(*KEYS, api_url=where) if where.startswith("http") else Outbox(Path(where))


POSTER = """
import os, pathlib, signal, sys
from datetime import timedelta
sys.path.insert(0, sys.argv[4])
from jobs.accounts.outbox import Outbox
from jobs.post import post
from jobs.accounts.x import XAccount
from mynah.bot import Bot, FileSource
from mynah.database.connection import connect
from simulators.x.api import DEMO_KEYS
url, where, moment = sys.argv[1:4]
account = XAccount(*DEMO_KEYS.values(), api_url=where) if where.startswith("http") else Outbox(pathlib.Path(where))
die = lambda: os.kill(os.getpid(), signal.SIGKILL)

class Doomed:
    def __getattr__(self, name):
        return getattr(account, name)
    def post(self, tweet):
        if moment == "before": die()
        outcome = account.post(tweet)
        if moment == "after": die()
        return outcome

with connect(url, pathlib.Path(".")) as connection:
    bot = Bot(name="demo", sources={"none": FileSource(url="none.txt")})
    print(post(bot, "main", connection, Doomed(), pause=0).outcome)
"""


def poster(database_url: str, where: str, moment: str) -> "subprocess.Popen[str]":
    repo = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", POSTER, database_url, where, moment, repo]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["outbox", "x"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an account."""
    if request.param == "x":
        return str(request.getfixturevalue("simulator"))
    return str(tmp_path / "x.jsonl")


def posts_in(tmp_path: Path) -> list[str]:
    lines = (tmp_path / "x.jsonl").read_text().splitlines() if (tmp_path / "x.jsonl").exists() else []
    return [eval(line, {"true": True})["text"] for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_poster_killed_by_sigkill_then_run_again(
    bot: Bot, connection: Connection, database_url: str, where: str, moment: str, tmp_path: Path
) -> None:
    approve(connection, "only once")
    process = poster(database_url, where, moment)
    assert process.wait(60) == -signal.SIGKILL
    assert rows(connection) == {"only once": "posting"}
    assert posts_in(tmp_path) == (["only once"] if moment == "after" else [])

    result = run(bot, connection, open_account(where))
    if where.startswith("http") and moment == "before":  # X may show a post late: it stays in doubt
        assert result.outcome == "nothing"
        let_pass(connection, 11)
        result = run(bot, connection, open_account(where))
    assert result.outcome == "posted"
    assert rows(connection) == {"only once": "posted"}
    assert posts_in(tmp_path) == ["only once"]
    assert run(bot, connection, open_account(where)).outcome == "nothing"


@pytest.mark.slow
def test_many_posters_at_once(connection: Connection, database_url: str, where: str, tmp_path: Path) -> None:
    approve(connection, *(f"text {number}" for number in range(10)))
    posters = [poster(database_url, where, "never") for _ in range(4)]
    outcomes = [process.communicate(timeout=60)[0].strip() for process in posters]
    assert all(process.returncode == 0 for process in posters)
    assert set(outcomes) <= {"posted", "busy"}
    made = posts_in(tmp_path)
    assert len(made) == len(set(made)) == outcomes.count("posted") >= 1
    assert {text for text, state in rows(connection).items() if state == "posted"} == set(made)
    assert "posting" not in rows(connection).values()


def test_a_second_poster_finds_nothing_to_do(bot: Bot, connection: Connection, database_url: str) -> None:
    approve(connection, "one", "two")
    account = Scripted()
    with psycopg.connect(database_url, autocommit=True) as other, posts.poster_lock(other, "demo", "main"):
        result = run(bot, connection, account)
    assert (result.outcome, account.attempts) == ("busy", 0)
    assert "another poster of demo is at work" in result.summary()
    assert run(bot, connection, account).outcome == "posted"
