"""Followers of leaders, the cohort that they make, and its posts, read from the simulated X through the real tweepy."""

import csv
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mynah.bot import load
from mynah.database import spend
from mynah.errors import MynahError
from scrapers.cohort import gather
from scrapers.scrape import scrape
from simulators.x.world import World
from tests.scrapers.kill import killed, rounds, was_killed
from tests.scrapers.x.conftest import Birds, Counted, wrote
from tests.x import post

Start = Callable[..., Birds]
FIRST = 1000  # the id of follower 0


def world_of(follows: dict[str, Iterable[int]], posts: int = 2) -> World:
    """Leaders with their followers, who are called u0, u1 … and have so many posts each."""
    world = World()
    for id, (leader, followers) in enumerate(follows.items(), 1):
        world.add({"id": str(id), "username": leader, "followers": [str(FIRST + n) for n in followers]})
    for n in {n for followers in follows.values() for n in followers}:
        world.add({"id": str(FIRST + n), "username": f"u{n}"})
        world.write([post(FIRST + n, number) for number in range(posts)])
    return world


def members(x: Birds) -> dict[str, int]:
    """The cohort in the bucket: names, and how many leaders each follows."""
    (path,) = x.folder.glob("home/**/cohort.parquet")
    return {row["username"]: row["leaders"] for row in pq.read_table(path).to_pylist()}


def test_those_who_follow_the_most_leaders_are_read(birds: Start) -> None:
    x = birds(world_of({"anna": [9, 1, 2, 3], "ben": [3, 2, 8], "carl": [3], "dora": [9]}))
    source = "kind: cohort, leaders: [anna, ben, carl], max_accounts: 3"
    scraped = x.scrape(source)
    assert (scraped.problems, scraped.failed) == ({}, {})
    assert members(x) == {"u3": 3, "u2": 2, "u1": 1}
    assert x.stored() == wrote(FIRST + 3, range(2)) + wrote(FIRST + 2, range(2)) + wrote(FIRST + 1, range(2))
    assert x.bill.dollars == pytest.approx((3 + 8) * 0.01 - 0 + 6 * 0.005 - 3 * 0.01)  # X bills each user once a day
    before = x.bill.requests
    x.world.write([post(FIRST + 2, 9)])
    assert x.scrape(source).new == {"birds": 1}
    assert x.bill.requests == before + 3


def test_who_is_first_on_both_sides_is_left_out(birds: Start, capsys: pytest.CaptureFixture[str]) -> None:
    x = birds(world_of({"anna": [1, 2, 3, 4], "ben": [1, 2, 3], "dora": [1, 5, 3]}))
    x.scrape("kind: cohort, leaders: [anna, ben], opponents: [dora], max_accounts: 3")
    assert members(x) == {"u2": 2}
    said = "the cohort has 1 accounts; they follow 2 to 2 of 2 leaders; 2 are left out, as they are in the opponents'"
    assert said in capsys.readouterr().err


def test_a_new_leader_makes_a_new_cohort_and_reads_no_follower_again(birds: Start) -> None:
    x = birds(world_of({"anna": range(30), "ben": range(20, 40)}))
    x.scrape("kind: cohort, leaders: [anna], max_accounts: 2, limit: 5")
    requests = x.bill.requests
    x.scrape("kind: cohort, leaders: [anna, ben], max_accounts: 2, limit: 5")
    assert members(x) == {"u20": 2, "u21": 2}
    assert x.bill.requests == requests + 1 + 1 + 2


def test_followers_come_in_pages_and_no_further_than_asked(birds: Start) -> None:
    x = birds(world_of({"anna": range(2500)}, posts=0))
    for most, requests in ((1700, 2), (2200, 1), (9999, 1)):
        before = x.bill.requests
        x.scrape(f"kind: cohort, leaders: [anna], max_followers: {most}")
        pages = [pq.read_table(path) for path in x.folder.glob("home/**/anna-*.parquet")]
        assert sum(map(len, pages)) == min(most, 2500)
        assert x.bill.requests - before == requests + (most == 1700)


def test_what_concerns_one_leader_is_a_line(birds: Start, tmp_path: Path) -> None:
    x = birds(world_of({"anna": [1, 2], "hidden": [2], "ben": [2]}))
    x.world.names["hidden"].state = "protected"
    (tmp_path / "more.txt").write_text("# ours\nben\nben's friend\nnobody\n")
    scraped = x.scrape(f"kind: cohort, leaders: [anna, hidden], leaders_file: {tmp_path}/more.txt, max_accounts: 1")
    assert scraped.problems["birds"] == [
        f"""{tmp_path}/more.txt:3: "ben's friend" names no account on X: write its name, as in https://x.com/NAME""",
        "@nobody: Could not find user with usernames: [nobody]. "
        "Check the name; it may be renamed, suspended or deleted",
        "@hidden: Sorry, you are not authorized to see the user with id: [2]. The cohort is made without it",
    ]
    assert (members(x), scraped.failed) == ({"u2": 2}, {})


def test_trouble_that_passes_makes_no_other_cohort(birds: Start) -> None:
    """The cohort waits for a leader that cannot be read now."""
    x = birds(world_of({"anna": [1, 2], "ben": [2]}))
    source = "kind: cohort, leaders: [anna, ben], max_accounts: 1"
    x.troubles.planned += ["", *["503"] * 3]
    scraped = x.scrape(source)
    first, waits = scraped.problems["birds"]
    assert re.match("@anna: X gives no good answer .*: it is asked again the next time", first)
    assert waits == ("the cohort is made when 1 more leaders are read: run again later; until then no post is read")
    assert not x.stored()
    assert x.scrape(source).problems == {}
    assert members(x) == {"u2": 2}


def test_the_last_cohort_is_read_on_while_the_next_is_not_made(birds: Start) -> None:
    x = birds(world_of({"anna": [1], "ben": [2]}))
    x.scrape("kind: cohort, leaders: [anna]")
    x.world.write([post(FIRST + 1, 9)])
    x.troubles.planned += ["", *["503"] * 3]
    scraped = x.scrape("kind: cohort, leaders: [anna, ben]")
    assert scraped.problems["birds"][-1].endswith("the last one is read on")
    assert scraped.new == {"birds": 1}


def test_a_leader_without_the_followers_that_it_has_is_asked_again(birds: Start) -> None:
    x = birds(world_of({"anna": [1], "ben": [1]}))
    x.world.names["ben"].data["public_metrics"] = {"followers_count": 4321}
    x.world.names["ben"].followers.clear()
    source = "kind: cohort, leaders: [anna, ben]"
    said = x.scrape(source).problems["birds"][0]
    assert said == "@ben: X gives none of its 4,321 followers: it is asked again the next time"
    assert x.scrape(source).problems == {}
    assert members(x) == {"u1": 1}


def test_no_cohort_is_made_of_nobody(birds: Start) -> None:
    x = birds(world_of({"anna": [1]}, posts=0))
    assert x.scrape("kind: cohort, leaders: [anna]").problems["birds"] == [
        "no follower of the leaders can be read: name other leaders"
    ]


def test_a_leader_on_both_sides_is_refused(birds: Start, tmp_path: Path) -> None:
    x = birds(world_of({"anna": [1]}))
    with pytest.raises(MynahError, match=r"demo\.yaml:1: .*opponents.*anna stands in leaders too"):
        x.bot("kind: cohort, leaders: [anna], opponents: [Anna]")
    (tmp_path / "more.txt").write_text("anna")
    scraped = x.scrape(f"kind: cohort, leaders: [anna], opponents_file: {tmp_path}/more.txt")
    assert "@anna stands among the leaders and among the opponents" in scraped.failed["birds"]
    assert x.bill.requests == 0


def test_it_costs_no_more_than_was_told(birds: Start) -> None:
    x = birds(world_of({"anna": range(1200), "ben": range(1200, 1500)}, posts=7))
    source = "kind: cohort, leaders: [anna, ben], max_followers: 2000, max_accounts: 20, limit: 5"
    told = x.estimate(source).costs["birds"]
    assert told.dollars == pytest.approx(2 * 0.01 + 4000 * 0.01 + 100 * 0.005)
    assert told.note == "20 accounts, at most, and 4,000 followers of 2 leaders are to be read first"
    x.troubles.planned += ["", "402"]  # after the look-up
    x.scrape(source)
    told = x.estimate(source).costs["birds"]
    assert (told.dollars, told.requests) == (pytest.approx(1500 * 0.01 + 100 * 0.005), 3 + 20)
    before = x.bill.dollars, x.bill.requests
    x.scrape(source)
    assert x.bill.dollars - before[0] == pytest.approx(told.dollars)
    assert x.bill.requests - before[1] == told.requests
    assert x.estimate(source).costs["birds"].posts == 0


def test_the_cap_ends_it_and_it_goes_on_from_there(birds: Start) -> None:
    x = birds(world_of({"anna": range(150), "ben": range(100, 160)}))
    source = "kind: cohort, leaders: [anna, ben], max_accounts: 30"
    for cap in (0.5, 1, 2):
        scraped = x.scrape(source, cap)
        assert "stops here" in scraped.problems["birds"][-1]
        with x.settings.connect() as connection:
            assert cap * 0.97 <= float(spend.spent(connection, "demo")) <= cap
        assert x.bill.dollars <= cap
    assert x.scrape(source).problems == {}
    assert set(members(x)) == {f"u{n}" for n in range(100, 130)}


@pytest.mark.slow
@pytest.mark.usefixtures("within_a_day")
@pytest.mark.timeout(1500)  # it may wait
@pytest.mark.parametrize("number", rounds(5))
def test_killed_it_ends_as_if_undisturbed(birds: Start, number: int) -> None:
    bill = Counted()
    follows = {"anna": range(60), "ben": range(40, 110), "carl": range(50, 55), "dora": range(45, 52)}
    x = birds(world_of(follows), bill=bill)
    x.bot("kind: cohort, leaders: [anna, ben, carl], opponents: [dora], max_accounts: 15")
    chance = random.Random(number)
    kills = 0
    for _ in range(3):
        kills += was_killed(x.folder / "demo.yaml", x.environment, chance.randrange(2_000, 60_000))
    ended = killed(x.folder / "demo.yaml", x.environment)
    assert ended.returncode == 0, ended.stderr
    # The first fifteen are 50 to 54, who follow three, and 40 to 49, who follow two; 45 to 51 follow dora too.
    expected = [52, 53, 54, *range(40, 45)]
    assert members(x) == {f"u{n}": 3 if n > 50 else 2 for n in expected}
    assert x.stored() == sum((wrote(FIRST + n, range(2)) for n in expected), Counter())
    twice = sum(times - 1 for (kind, _), times in bill.given.items() if kind == "post")
    assert twice <= 2 * kills
    with x.settings.connect() as connection:
        spent = float(spend.spent(connection, "demo"))
    assert bill.dollars <= spent <= 4 * 0.01 + (60 + 70 + 5 + 7) * 0.01 + 20 * 0.005 + 1e-9


def test_the_cohorts_of_real_followers(birds: Start, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """28,459 followers of 100 leaders, half of them on each side."""
    follows: dict[str, list[int]] = {}
    with (shared / "data/followers/leader_follower_edges.csv").open() as file:
        for row in csv.DictReader(file):
            follows.setdefault(f"leader{row['leader']}", []).append(int(row["follower"]))
    world = World()
    for id, (leader, followers) in enumerate(follows.items(), 1):
        world.add({"id": str(id), "username": leader, "followers": [str(FIRST + n) for n in followers]})
    for n in {n for followers in follows.values() for n in followers}:
        world.add({"id": str(FIRST + n), "username": f"u{n}", "public_metrics": {"post_count": 1}})
    x = birds(world, window=0.01)
    names = sorted(follows)
    left, right = names[:50], names[50:]
    x.bot(
        f"kind: cohort, leaders: [{', '.join(left)}], opponents: [{', '.join(right)}], "
        "max_followers: 5000, max_accounts: 2000",
        cap=2000,
    )

    def first(side: list[str]) -> dict[int, int]:
        counts = Counter(n for leader in side for n in {*follows[leader]})
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:2000])

    own, other = first(left), first(right)
    monkeypatch.setattr(gather.Sweep, "pages", lambda *_: iter(()))  # their posts are of no interest here
    scraped = scrape(load(x.folder / "demo.yaml"), x.settings)
    assert (scraped.problems, scraped.failed) == ({}, {})
    assert members(x) == {f"u{n}": leaders for n, leaders in own.items() if n not in other}
