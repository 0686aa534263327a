"""The account on X: through real tweepy, to the simulator, and to a server that answers what a test says."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobs.accounts import Duplicate, Posted, Published, Refused, Unavailable, Unknown, x
from jobs.accounts.x import XAccount
from mynah import x_client
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from simulators.x.api import DEMO_KEYS
from tests.answering import Scripted
from tests.timeline import find

KEYS = tuple(DEMO_KEYS.values())
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
PROBLEM = {"title": "Forbidden", "type": "about:blank", "status": 403}


@pytest.fixture
def account(simulator: str) -> XAccount:
    return XAccount(*KEYS, api_url=simulator)


def test_posts_and_finds_it(account: XAccount, simulator: str, row: Post) -> None:
    assert find(account, row) is None
    outcome = account.post(row)
    assert isinstance(outcome, Posted)
    assert find(account, row) == outcome.published
    assert outcome.published.url == f"{simulator}/i/web/status/{outcome.published.id}"
    page = httpx.get(outcome.published.url, follow_redirects=True)
    assert "To be &amp; to see, &lt;not&gt;" in page.text
    assert account.name == f"X at {simulator}"


def test_says_that_a_text_is_a_duplicate(account: XAccount, row: Post) -> None:
    account.post(row)
    outcome = account.post(row)
    assert isinstance(outcome, Duplicate)
    assert "not allowed to create a Tweet with duplicate content" in outcome.reason


@pytest.mark.parametrize(
    "text",
    [
        "  ends in white space \n",
        "two\n\nlines",
        "a literal &amp; and a & beside <b>",
        "e\u0301 decomposed",
        "links https://example.com/a?b=c&d=e and example.org, and 日本語foo.jp日本語",
        "https://t.co/abc a link of X's own",
        "😀👍🏽 “quoted”",
        "a.b*c+(d)[e]",
    ],
)
def test_finds_what_x_shows_otherwise(account: XAccount, row: Post, text: str) -> None:
    posted = account.post(replace(row, text=text))
    account.post(replace(row, text=text + " and more"))
    assert isinstance(posted, Posted)
    assert find(account, replace(row, text=text)) == posted.published
    assert find(account, replace(row, text=text + " other")) is None


def test_texts_that_differ_in_their_links_alone_are_for_a_person(account: XAccount, row: Post) -> None:
    account.post(replace(row, text="look at https://example.com/one"))
    other = replace(row, text="look at https://example.com/two")
    with pytest.raises(MynahError, match="differs in nothing but its links"):
        find(account, other)
    posted = account.post(other)
    assert isinstance(posted, Posted)
    assert find(account, other) == posted.published


def test_a_long_post_is_compared_in_full(row: Post) -> None:
    text = "x " * 200
    shown = {"id": "1", "text": text[:270] + "…", "note_tweet": {"text": text}}
    assert x._same(text, shown) is True
    assert x._same(text[:271], shown) is False


def test_signature_is_that_of_the_moved_host(simulator: str, row: Post) -> None:
    """A query is signed too; a wrong secret is refused, and is no fault of the text."""
    wrong = XAccount(*KEYS[:3], "wrong", api_url=simulator + "/")
    outcome = wrong.post(row)
    assert isinstance(outcome, Unavailable)
    assert "check the four X_* keys" in outcome.reason
    with pytest.raises(MynahError, match="401 Unauthorized"):
        find(wrong, row)


def test_path_of_a_proxy_is_kept(scripted: Scripted, row: Post) -> None:
    scripted.answer = lambda method, path: (201, {"data": {"id": "5"}})
    assert XAccount(*KEYS, api_url=scripted.host + "/x/").post(row) == Posted(
        Published("5", f"{scripted.host}/x/i/web/status/5")
    )
    assert scripted.asked == ["POST /x/2/tweets"]


def test_posts_on_x_itself_are_shown_there() -> None:
    account = XAccount(*KEYS)
    assert account.name == "X"
    assert account._published("5").url == "https://x.com/i/web/status/5"


@pytest.mark.parametrize("url", ["127.0.0.1:8090", "ftp://a", "https://", "http://a/?b=c"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="X_API_URL="):
        XAccount(*KEYS, api_url=url)


DUPLICATE_TEXT = PROBLEM | {"detail": "You are not allowed to create a Tweet with duplicate content."}
TOO_LONG = PROBLEM | {"detail": "Your Tweet text is too long. For more information on how Tweet length is determined…"}
NOT_PERMITTED = PROBLEM | {"detail": "You are not permitted to perform this action."}
NO_WRITING = PROBLEM | {
    "detail": "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."
}
SUSPENDED = PROBLEM | {
    "detail": "The user used for authentication is suspended",
    "type": "https://api.x.com/2/problems/user-suspended",
}
INVALID = {
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": "https://api.x.com/2/problems/invalid-request",
    "errors": [{"message": "The text is not to X's taste", "parameters": {}}],
}
NO_CREDITS = {"title": "CreditsDepleted", "detail": "Your account does not have any credits to fulfill this request."}


@pytest.mark.parametrize(
    ("answer", "outcome", "says"),
    [
        ((403, DUPLICATE_TEXT), Duplicate, "duplicate content"),
        ((403, TOO_LONG), Refused, "too long"),
        ((400, INVALID), Refused, "not to X's taste"),
        ((403, NOT_PERMITTED), Unavailable, "what its app may do"),
        ((403, NO_WRITING), Unavailable, "oauth1 app permissions"),
        ((403, SUSPENDED), Unavailable, "suspended"),
        (
            (401, {"title": "Unauthorized", "detail": "Unauthorized", "status": 401}),
            Unavailable,
            "this machine's clock",
        ),
        ((402, NO_CREDITS), Unavailable, "add credits"),
        ((404, b"<h1>no such page</h1>"), Unavailable, "404: Not Found (check X_API_URL)"),
        ((301, b"", {"location": "/elsewhere"}), Unavailable, "check X_API_URL"),
        ((429, {"title": "Too Many Requests"}), Unavailable, "limit of posts"),
        ((500, b"oops"), Unknown, "500"),
        ((503, {"title": "Service Unavailable", "detail": "Over capacity"}), Unknown, "Over capacity"),
        ((504, b""), Unknown, "504"),
        ((201, b'{"data": {"id": "1'), Unknown, "JSONDecodeError"),
        ((201, {"errors": [{"detail": "half"}]}), Unknown, "KeyError"),
        ((201, [1]), Unknown, "TypeError"),
        ((403, ["no object"]), Unknown, "the answer was lost"),
        (None, Unknown, "the answer was lost (ConnectionError"),
    ],
)
def test_what_an_answer_means(
    scripted: Scripted, row: Post, answer: Answer | None, outcome: type[Any], says: str
) -> None:
    scripted.answer = lambda method, path: answer
    told = XAccount(*KEYS, api_url=scripted.host).post(row)
    assert isinstance(told, outcome)
    assert says in told.reason
    assert scripted.asked == ["POST /2/tweets"]  # once, and no redirection followed


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"x-rate-limit-reset": "1800000000"}, 1800000000),
        ({"x-rate-limit-reset": "1800000000", "x-user-limit-24hour-reset": "1900000000"}, 1800000000),
        (
            {
                "x-rate-limit-reset": "1800000000",
                "x-user-limit-24hour-reset": "1900000000",
                "x-user-limit-24hour-remaining": "0",
            },
            1900000000,
        ),
        ({}, None),
    ],
)
def test_rate_limits_say_until_when(scripted: Scripted, row: Post, headers: dict[str, str], until: int | None) -> None:
    scripted.answer = lambda method, path: (429, {"title": "Too Many Requests"}, headers)
    outcome = XAccount(*KEYS, api_url=scripted.host).post(row)
    assert isinstance(outcome, Unavailable)
    assert outcome.until == (until and datetime.fromtimestamp(until, UTC))


def test_no_connection_is_no_post(row: Post) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for host in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        outcome = XAccount(*KEYS, api_url=host).post(row)
        assert isinstance(outcome, Unavailable)
        assert "no connection to" in outcome.reason


def test_waiting_ends(scripted: Scripted, row: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_client, "TIMEOUT", (0.2, 0.2))

    def slow(method: str, path: str) -> Answer:
        time.sleep(1)
        return 201, {"data": {"id": "1"}}

    scripted.answer = slow
    outcome = XAccount(*KEYS, api_url=scripted.host).post(row)
    assert isinstance(outcome, Unknown)
    assert "ReadTimeout" in outcome.reason


def timeline(*pages: Answer | None) -> Callable[[str, str], Answer | None]:
    left = list(pages)
    return lambda method, path: (200, {"data": {"id": "9"}}) if path.startswith("/2/users/me") else left.pop(0)


def entry(id: int, text: str, minutes_ago: float) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"id": str(id), "text": text, "created_at": f"{at:%Y-%m-%dT%H:%M:%S.000Z}"}


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"errors": [{"title": "Not Found Error", "detail": "Could not find user"}]}),
        (200, {"errors": [{"detail": "gone"}], "meta": {"result_count": 0}}),
        (200, {"errors": [{"detail": "half of it"}], "data": [entry(1, "other", 60)], "meta": {"result_count": 1}}),
        (200, {"meta": {}}),
        (200, {}),
        (200, []),
        (200, b'{"data": ['),
        (429, {"title": "Too Many Requests"}),
        (503, b""),
        None,
    ],
)
def test_an_unreadable_timeline_never_means_not_posted(scripted: Scripted, row: Post, answer: Answer | None) -> None:
    scripted.answer = timeline(answer)
    with pytest.raises(MynahError, match="does not tell what this account has posted"):
        find(XAccount(*KEYS, api_url=scripted.host), row)


def test_nobody_is_no_empty_timeline(scripted: Scripted, row: Post) -> None:
    scripted.answer = lambda method, path: (200, {"meta": {}})
    with pytest.raises(MynahError, match="does not say who"):
        find(XAccount(*KEYS, api_url=scripted.host), row)


def test_an_empty_timeline_is_read(scripted: Scripted, row: Post) -> None:
    scripted.answer = timeline((200, {"meta": {"result_count": 0}}))
    assert find(XAccount(*KEYS, api_url=scripted.host), row) is None


def test_reads_on_until_before_the_claim(scripted: Scripted, row: Post) -> None:
    claimed = replace(row, claimed_at=datetime.now(UTC) - timedelta(minutes=60), text="wanted")
    first = {"data": [entry(3, "new", 1), entry(2, "old", 50)], "meta": {"result_count": 2, "next_token": "more"}}
    second = {"data": [entry(1, "wanted", 60)], "meta": {"result_count": 1, "next_token": "still more"}}
    scripted.answer = timeline((200, first), (200, second))
    found = find(XAccount(*KEYS, api_url=scripted.host), claimed)
    assert found is not None
    assert found.id == "1"
    assert "until_id=2" in scripted.asked[-1]

    older = {"data": [entry(1, "other", 90)], "meta": {"result_count": 1, "next_token": "still more"}}
    scripted.answer = timeline((200, first), (200, older))
    assert find(XAccount(*KEYS, api_url=scripted.host), claimed) is None


def test_the_found_post_counts_whatever_else_is_wrong(scripted: Scripted, row: Post) -> None:
    page = {"errors": [{"detail": "half of it"}], "data": [entry(4, "wanted", 1)], "meta": {"result_count": 1}}
    scripted.answer = timeline((200, page))
    found = find(XAccount(*KEYS, api_url=scripted.host), replace(row, text="wanted"))
    assert found is not None
    assert found.id == "4"
