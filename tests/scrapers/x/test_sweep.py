"""All accounts of a source, read from the simulated X through the real tweepy."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from mynah.database import silences
from mynah.document import Document, unpack
from scrapers.raw import Raw
from scrapers.scrape import Scraped
from tests.scrapers.x.conftest import Birds, wrote
from tests.x import BEGIN, post, world_of

Start = Callable[..., Birds]


def test_each_account_is_read_to_its_end_and_then_for_what_is_new(birds: Start) -> None:
    x = birds(world_of({"anna": 230, "ben": 3, "silent": 0}))
    scraped = x.scrape("accounts: [Anna, '@ben', https://x.com/silent]")
    assert (scraped.found, scraped.problems, scraped.failed) == ({"birds": 233}, {}, {})
    assert x.stored() == wrote(1, range(230)) + wrote(2, range(3))
    assert (x.bill.requests, x.bill.dollars) == (1 + 3 + 1 + 1, pytest.approx(3 * 0.01 + 233 * 0.005))
    x.world.write([post(1, 230), post(2, 3)])
    assert x.scrape("accounts: [anna, ben, silent]").new == {"birds": 2}
    assert x.bill.requests == 6 + 3
    assert x.stored() == wrote(1, range(231)) + wrote(2, range(4))


def retweet(author: int, number: int) -> dict[str, Any]:
    return post(author, number, referenced_tweets=[{"type": "retweeted", "id": "5"}])


def reply(author: int, number: int, whom: int) -> dict[str, Any]:
    kinds = [{"type": "replied_to", "id": "5"}]
    return post(author, number, referenced_tweets=kinds, in_reply_to_user_id=str(whom))


def test_limit_since_retweets_and_replies(birds: Start) -> None:
    x = birds(world_of({"many": 500, "mixed": [retweet(2, 0), reply(2, 1, 2), reply(2, 2, 1), post(2, 3)]}))
    assert x.scrape("accounts: [many], limit: 203").new == {"birds": 203}
    assert x.stored() == wrote(1, range(297, 500))
    assert x.bill.dollars == pytest.approx(0.01 + 203 * 0.005)
    x.scrape("accounts: [mixed], retweets: false, replies: false")
    assert x.stored() - wrote(1, range(500)) == wrote(2, [1, 3])
    assert x.bill.dollars == pytest.approx(0.02 + 206 * 0.005)


def test_nothing_older_than_since(birds: Start) -> None:
    x = birds(world_of({"anna": 72}))
    x.scrape("accounts: [anna], since: 2024-01-03")
    assert x.stored() == wrote(1, range(48, 72))


def test_a_document(birds: Start) -> None:
    long = {"text": "all of it " * 40}
    counts = {"like_count": 7, "retweet_count": 2, "impression_count": 90}
    x = birds(world_of({"anna": [post(1, 0, public_metrics=counts, note_tweet=long)]}))
    x.scrape("accounts: [anna]")
    (page,) = x.settings.bucket.names("demo", "raw", "birds")
    assert list(unpack(x.settings.bucket.read("demo", "raw", "birds", page))) == [
        Document(
            id=post(1, 0)["id"],
            text=long["text"],
            author="anna",
            created_at="2024-01-01T00:00:00.000Z",
            numbers={"likes": 7, "replies": 0, "reposts": 0, "quotes": 0, "views": 90},
        )
    ]


def test_what_concerns_one_account_is_a_line_and_the_rest_goes_on(birds: Start) -> None:
    x = birds(world_of({"anna": 3, "ben": 3, "carl": 3}))
    for id, state in enumerate(("suspended", "protected"), 8):
        x.world.add({"id": str(id), "username": state, "state": state})
    check = "Check the name; it may be renamed, suspended or deleted"
    accounts = "accounts: [anna, suspended, nobody, protected, ben, carl]"
    scraped = x.scrape(accounts)
    assert (scraped.found, scraped.failed) == ({"birds": 9}, {})
    assert scraped.problems["birds"] == [
        f"@suspended: User has been suspended: [suspended]. {check}",
        f"@nobody: Could not find user with usernames: [nobody]. {check}",
        "@protected: Sorry, you are not authorized to see the user with id: [9].",
    ]
    x.world.users["1"].state = "gone"
    x.world.names["nobody"] = x.world.add({"id": "10", "username": "nobody"})
    x.world.write([post(10, 5)])
    scraped = x.scrape(accounts)
    assert scraped.new == {"birds": 1}
    assert scraped.problems["birds"][0] == (
        "@anna: Could not find user with id: [1].; its posts up to 2024-01-01 are kept"
    )


def test_a_renamed_account_is_read_on_by_its_number(birds: Start) -> None:
    x = birds(world_of({"anna": 3}))
    x.scrape("accounts: [anna]")
    x.world.names["hanna"] = x.world.names.pop("anna")
    x.world.write([post(1, 3)])
    assert x.scrape("accounts: [anna]").new == {"birds": 1}


@pytest.mark.parametrize("trouble", ["503", "alone", "empty", "cut"])
def test_what_goes_wrong_with_one_account_is_asked_again(birds: Start, trouble: str) -> None:
    """A few times at once, else the next time: as far as it was read, it is not read again."""
    x = birds(world_of({"anna": 150, "ben": 3}))
    x.troubles.planned += ["", "", *[trouble] * 3]
    scraped = x.scrape("accounts: [anna, ben]")
    assert len(scraped.problems["birds"]) == 1
    assert x.stored() == wrote(1, range(50, 150)) + wrote(2, range(3))
    assert (x.scrape("accounts: [anna, ben]").new, x.stored()) == (
        {"birds": 50},
        wrote(1, range(150)) + wrote(2, range(3)),
    )
    x.world.write([post(1, 150)])
    x.troubles.planned += [trouble] * 2
    assert x.scrape("accounts: [anna, ben]") == Scraped({"birds": 1}, {"birds": 1})


def test_errors_beside_posts_are_told_and_the_posts_kept(birds: Start) -> None:
    x = birds(world_of({"anna": 3}))
    x.troubles.planned += ["", "errors"]
    scraped = x.scrape("accounts: [anna]")
    assert scraped.new == {"birds": 3}
    assert scraped.problems["birds"] == ["@anna: in part: Could not find tweet with referenced_tweets.id: [1]."]


def test_where_x_answers_nothing_the_source_fails_and_then_begins_with_the_next(birds: Start) -> None:
    """A list that always begins with the same account would never come to its end."""
    x = birds(world_of(dict.fromkeys("abcdef", 3)))
    x.troubles.planned += ["", "", "", *["503"] * 9]
    scraped = x.scrape("accounts: [a, b, c, d, e, f]")
    assert "gives no good answer, time after time (X says 503: Service Unavailable)" in scraped.failed["birds"]
    assert x.stored() == wrote(1, range(3)) + wrote(2, range(3))
    x.world.write([post(1, 9)])
    x.troubles.planned += ["", "402"]  # after d
    assert (
        "X says 402: Your enrolled account has no credits left."
        in x.scrape("accounts: [a, b, c, d, e, f]").failed["birds"]
    )
    assert x.stored() == wrote(1, range(3)) + wrote(2, range(3)) + wrote(4, range(3))
    x.scrape("accounts: [a, b, c, d, e, f]")
    assert sum(x.stored().values()) == 19


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("401", "X says 401: Unauthorized: check X_BEARER_TOKEN"),
        ("402", "X says 402: Your enrolled account has no credits left.: add credits"),
        ("app", "keys of an App in a Project. Check what the app of X_BEARER_TOKEN may do"),
    ],
)
def test_what_x_refuses_altogether_ends_the_source(birds: Start, trouble: str, says: str) -> None:
    x = birds(world_of({"anna": 3, "ben": 3}))
    x.troubles.planned += ["", trouble]
    failed = x.scrape("accounts: [anna, ben]").failed["birds"]
    assert says in failed
    assert "\n" not in failed
    assert x.bill.requests == 2


def test_a_403_about_an_account_is_a_line(birds: Start) -> None:
    x = birds(world_of({"anna": 3, "ben": 3}))
    x.troubles.planned += ["", "403"]
    assert x.scrape("accounts: [anna, ben]").problems == {"birds": ["@anna: X says 403: Forbidden"]}
    assert x.stored() == wrote(2, range(3))


def test_a_limit_of_x_is_waited_for_until_its_end(birds: Start, capsys: pytest.CaptureFixture[str]) -> None:
    x = birds(world_of({"anna": 3}), window=1)
    x.troubles.planned += ["", "429"]
    assert x.scrape("accounts: [anna]").new == {"birds": 3}
    assert re.search(r"X's limit of requests is reached: waiting [1-3] s, until 20", capsys.readouterr().err)


def test_a_limit_that_ends_too_late_is_not_waited_for(birds: Start) -> None:
    x = birds(world_of({"anna": 3}), window=3600)
    x.troubles.planned += ["", "429"]
    scraped = x.scrape("accounts: [anna]")
    assert "stops here: X says 429: Too Many Requests until 20" in scraped.problems["birds"][0]
    assert x.scrape("accounts: [anna]").new == {"birds": 3}


def test_without_a_token_the_other_sources_are_read(birds: Start) -> None:
    x = birds(world_of({}))
    del x.environment["X_BEARER_TOKEN"]
    scraped = x.scrape("accounts: [anna], env: NEWS_")
    assert scraped.failed == {}
    (problem,) = scraped.problems["birds"]
    assert problem.startswith("NEWS_X_BEARER_TOKEN is not set: no account on X is read")


def test_names_from_a_file(birds: Start) -> None:
    x = birds(world_of({"anna": 1, "ben": 1}))
    (x.folder / "names.txt").write_text("\ufeff# astrologers\nAnna\n\nhttps://x.com/ben\nnot a name\nANNA\n")
    scraped = x.scrape(f"accounts_file: {x.folder}/names.txt")
    assert x.stored() == wrote(1, range(1)) + wrote(2, range(1))
    assert scraped.problems["birds"] == [
        f"{x.folder}/names.txt:5: 'not a name' names no account on X: write its name, as in https://x.com/NAME"
    ]
    (x.folder / "names.txt").write_text("# nobody\n")
    assert (
        "names no account: write one name per line" in x.scrape(f"accounts_file: {x.folder}/names.txt").failed["birds"]
    )


def test_the_cap_is_reached_and_not_passed(birds: Start) -> None:
    x = birds(world_of({"anna": 150, "ben": 150}))
    scraped = x.scrape("accounts: [anna, ben]", cap=1)
    assert 0.97 <= x.bill.dollars <= 1
    (problem,) = scraped.problems["birds"]
    assert re.match(r"stops here: \$1\.00 of scrape\.max_cost_usd=1 are spent this month, and the rest pays", problem)
    assert x.scrape("accounts: [anna, ben]", cap=1).found == {"birds": 0}
    assert x.bill.dollars <= 1
    x.scrape("accounts: [anna, ben]", cap=2)
    assert x.stored() == wrote(1, range(150)) + wrote(2, range(150))
    assert x.bill.dollars == pytest.approx(0.02 + 300 * 0.005)


def test_with_a_cap_of_nothing_nothing_is_asked(birds: Start) -> None:
    x = birds(world_of({"anna": 150}))
    assert "$0.00 of scrape.max_cost_usd=0 are spent" in x.scrape("accounts: [anna]", cap=0).problems["birds"][0]
    assert x.bill.requests == 0


def test_a_few_dollars_for_many_accounts_are_not_spent_on_looking_them_up(birds: Start) -> None:
    x = birds(world_of({f"a{n}": 10 for n in range(100)}))
    names = ", ".join(f"a{n}" for n in range(100))
    x.scrape(f"accounts: [{names}], limit: 10", cap=1)
    assert x.bill.read["user"] <= 18
    assert x.bill.read["post"] >= 155


def test_a_walk_that_was_interrupted_is_ended_and_then_what_is_new_is_read(birds: Start) -> None:
    x = birds(world_of({"anna": 300}))
    x.troubles.planned += ["", "", "402"]
    x.scrape("accounts: [anna]")
    assert x.stored() == wrote(1, range(200, 300))
    x.world.write([post(1, n) for n in range(300, 420)])
    x.scrape("accounts: [anna]")
    assert x.stored() == wrote(1, range(420))
    assert x.bill.read["post"] == 420


def test_an_account_that_used_to_give_and_shows_nothing_any_more_is_told(birds: Start) -> None:
    """One that is only quiet is asked for its posts once."""
    now = int((time.time() - BEGIN) / 3600) - 1
    x = birds(world_of({name: [post(id, now - n) for n in range(50)] for id, name in enumerate(("anna", "ben"), 1)}))
    x.scrape("accounts: [anna, ben]")
    raw = Raw(x.settings.bucket, "demo", "birds", "x")
    cursor = raw.cursor()
    assert cursor
    for state in cursor["accounts"].values():
        state["gave"] -= 3  # days: as if they had passed
    raw.write([], cursor)
    x.world.users["1"].posts.clear()
    before = x.bill.requests
    for requests in (4, 3):
        (problem,) = x.scrape("accounts: [anna, ben]").problems["birds"]
        assert re.match(
            r"@anna: used to give 24\.\d+ posts per day up to 20\d\d-\d\d-\d\d, and now shows none at all", problem
        )
        assert x.bill.requests - before == requests
        before = x.bill.requests
    with x.settings.connect() as connection:
        assert silences.count(connection, "demo") == {"birds": 1}
        x.world.write([post(1, now)])
        assert x.scrape("accounts: [anna, ben]").problems == {}
        assert silences.count(connection, "demo") == {}
