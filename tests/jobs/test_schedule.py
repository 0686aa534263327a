"""The times of an account's schedule: each has one post, is tried again while it is not too late, and then missed."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jobs.post import Result, _Poster, last_due, post, wait
from mynah.bot import Bot
from mynah.bot.post import Post as Section
from mynah.database import budget, posts, slots
from mynah.database.budget import OverBudget
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet, add_tweets
from mynah.errors import MynahError
from tests.scripted_account import Killed, Scripted, let_pass

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def approve(connection: Connection, number: int) -> None:
    add_tweets(connection, "demo", [NewTweet(f"text {n}", state="approved") for n in range(number)])


def run(bot: Bot, connection: Connection, account: Scripted, slot: datetime, late: float = 0) -> Result:
    return post(bot, "main", connection, account, slot=slot, now=slot + late * MINUTE, pause=0)  # type: ignore[arg-type]


def having(bot: Bot, **keys: Any) -> Bot:
    return bot.model_copy(update={"post": Section(**keys)})


def no_pause(connection: Connection) -> None:
    connection.execute("UPDATE slots SET retry_at = NULL")


def test_a_failed_time_is_tried_again_with_growing_pauses(bot: Bot, connection: Connection) -> None:
    approve(connection, 3)
    account = Scripted(["no keys"] * 3)
    pauses = []
    for tries in (1, 2, 3):
        with pytest.raises(MynahError, match="it says 401: wrong keys; it stays approved"):
            run(bot, connection, account, NOON, tries)
        failed = slots.get(connection, "demo", "main", NOON)
        assert failed
        assert failed.retry_at
        assert (failed.tries, failed.reason) == (tries, "it says 401: wrong keys")
        pauses.append(round((failed.retry_at - datetime.now(UTC)).total_seconds()))
        with pytest.raises(MynahError, match=f"it says 401: wrong keys; tried (once|{tries} times), and again after"):
            run(bot, connection, account, NOON, tries)
        no_pause(connection)
    assert pauses == [5, 10, 20]
    assert account.attempts == 3
    assert run(bot, connection, account, NOON, 5).outcome == "posted"
    assert run(bot, connection, account, NOON, 6).outcome == "nothing"
    assert run(bot, connection, account, NOON + timedelta(hours=3)).outcome == "posted"
    assert slots.get(connection, "demo", "main", NOON) is None  # what was made up for is forgotten


def test_a_limit_says_until_when(bot: Bot, connection: Connection) -> None:
    approve(connection, 1)
    account = Scripted(["limit"])
    with pytest.raises(MynahError, match="until 2027-01-02 03:04:05 UTC"):
        run(bot, connection, account, NOON)
    with pytest.raises(MynahError, match="tried once, and again after 03:04:05 UTC"):
        run(bot, connection, account, NOON)
    assert account.attempts == 1


def test_what_is_too_late_is_missed(bot: Bot, connection: Connection) -> None:
    approve(connection, 3)
    account = Scripted(["no keys"])
    with pytest.raises(MynahError):
        run(bot, connection, account, NOON, 58)
    result = run(bot, connection, account, NOON, 61)
    assert result.outcome == "missed"
    missed = "missed the post of 2026-11-21 12:00 UTC: it says 401: wrong keys"
    assert result.summary() == f"{missed}; it is more than 60 minutes late (late_minutes)"
    assert account.posts == []
    (found,) = slots.missed(connection, "demo", "main", 10_000)
    assert (found.slot, found.reason) == (NOON, "it says 401: wrong keys")
    later = NOON + timedelta(hours=3)
    assert run(having(bot, late_minutes=90), connection, account, later, 80).outcome == "posted"


def test_a_time_that_never_ran_is_missed_too(bot: Bot, connection: Connection) -> None:
    approve(connection, 1)
    assert run(bot, connection, Scripted(), NOON, 61).outcome == "missed"
    (missed,) = slots.missed(connection, "demo", "main", 10_000)
    assert missed.reason == "it is more than 60 minutes late (late_minutes)"


def test_what_was_missed_is_not_sent_in_a_heap(bot: Bot, connection: Connection) -> None:
    """The account is away for a day: then one text is posted, and each time of that day is missed, once."""
    approve(connection, 20)
    account = Scripted(["no keys"] * 8)
    for hour in range(0, 24, 3):
        with pytest.raises(MynahError):
            run(bot, connection, account, NOON + timedelta(hours=hour))
    result = run(bot, connection, account, NOON + timedelta(hours=24))
    assert (result.outcome, len(account.posts)) == ("posted", 1)
    assert result.notes == ("missed the post of 2026-11-22 09:00 UTC: it says 401: wrong keys",)
    assert len(slots.missed(connection, "demo", "main", 10_000)) == 8
    assert run(bot, connection, account, NOON + timedelta(hours=27)).notes == ()


def test_a_time_in_doubt_is_made_up_for_when_it_is_settled(bot: Bot, connection: Connection) -> None:
    approve(connection, 3)
    account = Scripted(["die before"])
    with pytest.raises(Killed):
        run(bot, connection, account, NOON)
    with pytest.raises(MynahError, match="nobody knows yet whether the post of 2026-11-21 12:00 UTC"):
        run(bot, connection, account, NOON, 1)
    let_pass(connection, 11)
    assert run(bot, connection, account, NOON, 11).outcome == "posted"
    assert len(account.posts) == 1


@pytest.mark.parametrize(("schedule", "per_day"), [("30 2 * * *", 1), ("0 */6 * * *", 4)])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Sydney"])
def test_a_year_of_times_over_both_changes_of_the_clock(zone: str, schedule: str, per_day: int) -> None:
    """Runs around the clock, more of them where it changes: each time of the schedule is found, and no other."""
    section, local = Section(schedule=schedule, time_zone=zone), ZoneInfo(zone)
    found = set()
    now = datetime(2026, 1, 1, tzinfo=local).astimezone(UTC)
    end = datetime(2027, 1, 1, tzinfo=local).astimezone(UTC)
    while now < end:
        due = last_due(section, now).astimezone(UTC)
        assert now - timedelta(days=1, hours=2) < due <= now + timedelta(seconds=10)
        if due >= datetime(2026, 1, 1, tzinfo=local):
            found.add(due)
        changes = now.astimezone(local).utcoffset() != (now + timedelta(hours=12)).astimezone(local).utcoffset()
        now += timedelta(minutes=15 if changes else 120)
    days = Counter(due.astimezone(local).date() for due in found)
    assert len(days) == 365
    assert set(days.values()) == {per_day}


def test_a_time_on_the_day_the_clock_changes_has_one_post(bot: Bot, connection: Connection) -> None:
    approve(connection, 40)
    account = Scripted()
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # a day of 25 hours in Berlin
    berlin = having(bot, schedule="30 * * * *", time_zone="Europe/Berlin")
    for minutes in range(0, 25 * 60, 10):
        now = begin + minutes * MINUTE
        slot = last_due(berlin.post, now)
        if slot >= begin:
            post(berlin, "main", connection, account, slot=slot, now=now, pause=0)  # type: ignore[arg-type]
    made = [each.slot for each in posts.list_posts(connection, "demo", 99, state="posted")]
    assert len(made) == len(set(made)) == len(account.posts) == 25


def test_jitter(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    for _ in range(50):
        wait(Section(jitter_minutes=(1, 3)))
    wait(Section())
    assert len(slept) == 50
    assert 60 <= min(slept) < 100 < 140 < max(slept) <= 180
    assert "(jitter_minutes)" in capsys.readouterr().err
    with pytest.raises(ValueError, match="write the smaller number first"):
        Section(jitter_minutes=(3, 1))


def test_a_live_account_writes_what_it_has_not(bot: Bot, connection: Connection) -> None:
    account, written = Scripted(), []

    def write() -> None:
        written.append(1)
        add_tweets(connection, "demo", [NewTweet(f"fresh {len(written)}", state="approved")])

    def at(hour: int | None, live: bool) -> Result:
        slot = None if hour is None else NOON + timedelta(hours=hour)
        section = having(bot, live=live)
        return post(section, "main", connection, account, slot=slot, now=slot, pause=0, write=write)  # type: ignore[arg-type]

    assert at(0, live=False).outcome == "nothing"
    assert at(None, live=True).outcome == "nothing"  # a person who posts wants what was approved
    assert at(0, live=True).text == "fresh 1"
    assert at(0, live=True).outcome == "nothing"
    approve(connection, 1)
    assert at(3, live=True).text == "text 0"
    assert len(written) == 1


# What an account may post and spend.


@pytest.mark.parametrize(
    ("keys", "most", "says"),
    [
        ({"max_posts_per_day": 3}, 3, "its budget is used up: 3 of 3 posts today (max_posts_per_day)"),
        ({"max_posts_per_month": 2}, 2, "its budget is used up: 2 of 2 posts this month (max_posts_per_month)"),
        ({"max_cost_usd": 0.05}, 3, "$0.045 of $0.05 this month (max_cost_usd), $0.015 more"),
        ({"max_posts_per_day": 0}, 0, "0 of 0 posts today"),
    ],
)
def test_a_budget_is_never_exceeded(
    bot: Bot, connection: Connection, keys: dict[str, Any], most: int, says: str, within_a_day: None
) -> None:
    approve(connection, 6)
    account = Scripted(post_cost=Decimal("0.015"))
    bot = having(bot, likes_days=0, **keys)
    results = [run(bot, connection, account, NOON + timedelta(hours=3 * hour)) for hour in range(most + 1)]
    assert [result.outcome for result in results] == ["posted"] * most + ["nothing"]
    assert says in results[-1].summary()
    assert (len(account.posts), account.attempts) == (most, most)
    assert slots.missed(connection, "demo", "main", 10_000)[0].reason.startswith("its budget is used up")


def test_what_was_not_posted_is_not_paid(bot: Bot, connection: Connection, within_a_day: None) -> None:
    approve(connection, 3)
    account = Scripted(["no keys", "refuse", "lose the request"], post_cost=Decimal("0.015"))
    bot = having(bot, max_cost_usd=0.015, likes_days=0)
    for _ in range(3):
        no_pause(connection)
        with pytest.raises(MynahError):
            run(bot, connection, account, NOON)
    later = NOON + timedelta(hours=3)
    assert "$0.015 of $0.02" in run(bot, connection, account, later).summary()  # it may be there: it counts
    let_pass(connection, 11)
    assert run(bot, connection, account, NOON + timedelta(hours=6)).outcome == "posted"


def test_reading_is_paid_from_the_budget(bot: Bot, connection: Connection, within_a_day: None) -> None:
    approve(connection, 3)
    account = Scripted(["post late"], post_cost=Decimal("0.015"), read_cost=Decimal("0.001"))
    bot = having(bot, max_cost_usd=0.02, likes_days=0)
    with pytest.raises(MynahError, match="nobody knows"):
        run(bot, connection, account, NOON)
    account.hidden = 0
    let_pass(connection, 11)
    assert run(bot, connection, account, NOON).outcome == "nothing"
    assert budget.used(connection, "demo", "main").dollars == Decimal("0.016")  # one post was shown

    tight = having(bot, max_cost_usd=0.017, likes_days=1)
    result = post(tight, "main", connection, account, pause=0)  # type: ignore[arg-type]
    assert result.outcome == "nothing"
    assert "likes are not read: the script is not read: its budget is used up: $0.016 of $0.02" in result.notes[0]


@pytest.fixture
def six_posters(database_url: str) -> Callable[[Bot, Scripted], list[str]]:
    """Runs six posters of one bot at once, on connections of their own, without the lock that keeps them apart."""

    def runs(bot: Bot, account: Scripted) -> list[str]:
        outcomes: list[str] = []

        def one() -> None:
            with psycopg.connect(database_url, autocommit=True) as own:
                poster = _Poster(bot, "main", own, account, 0, None, datetime.now(UTC), None)  # type: ignore[arg-type]
                try:
                    outcomes.append("claimed" if poster.claim("is rejected", None) else "nothing")
                except OverBudget:
                    outcomes.append("over budget")

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    return runs


def test_posters_at_once_do_not_exceed_it_together(
    bot: Bot, connection: Connection, six_posters: Callable[[Bot, Scripted], list[str]], within_a_day: None
) -> None:
    approve(connection, 9)
    outcomes = six_posters(having(bot, max_posts_per_day=2), Scripted())
    assert Counter(outcomes) == {"claimed": 2, "over budget": 4}
