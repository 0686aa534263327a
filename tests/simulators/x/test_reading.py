"""Reading the simulated X, through the real tweepy; its answers against X's own description and recorded replies."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import tweepy
import yaml
from jsonschema import Draft202012Validator

from mynah.errors import UsageError
from simulators.x.access import Limits
from simulators.x.api import DEMO_BEARER
from simulators.x.billing import Bill
from simulators.x.troubles import Troubles, parse
from simulators.x.world import World, read_world
from tests.x import post, simulated, world_of

APP = {"authorization": f"Bearer {DEMO_BEARER}"}
ME = "1600000000000000000"
Get = Callable[..., httpx.Response]


def reply_to(author: int, number: int, whom: int) -> dict[str, Any]:
    kinds = [{"type": "replied_to", "id": "5"}]
    return post(author, number, referenced_tweets=kinds, in_reply_to_user_id=str(whom))


def retweet(author: int, number: int) -> dict[str, Any]:
    return post(author, number, referenced_tweets=[{"type": "retweeted", "id": "5"}])


@pytest.fixture
def world() -> World:
    world = world_of({"anna": 12, "ben": [retweet(2, 1), reply_to(2, 2, 1), reply_to(2, 3, 2), post(2, 4)], "many": 0})
    for id, state in enumerate(("suspended", "protected", "gone"), 4):
        world.add({"id": str(id), "username": state, "state": state})
    world.users["1"].followers += [str(id) for id in range(2500)]
    return world


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def bill() -> Bill:
    return Bill()


@pytest.fixture
def url(tmp_path: Path, world: World, troubles: Troubles, bill: Bill) -> Iterator[str]:
    with simulated(tmp_path / "x.jsonl", world=world, troubles=troubles, bill=bill) as url:
        yield url


@pytest.fixture
def get(url: str) -> Iterator[Get]:
    """get(PATH, parameter=…) asks as the app; `.` in a parameter's name is written `_`."""
    with httpx.Client(base_url=url, headers=APP) as client:

        def get(path: str, **query: Any) -> httpx.Response:
            return client.get(path, params={name.replace("_fields", ".fields"): query[name] for name in query})

        yield get


def ids(answer: httpx.Response) -> list[int]:
    """The posts' numbers; answers without data have none."""
    return [int(item["text"].split()[1]) for item in answer.json().get("data", ())]


def test_an_app_reads_but_does_not_post(get: Get, url: str) -> None:
    assert get("/2/users/by", usernames="Anna").json() == {"data": [{"id": "1", "username": "anna", "name": "anna"}]}
    assert httpx.get(url + "/2/users/by?usernames=anna", headers={"authorization": "Bearer x"}).status_code == 401
    for answer in (get("/2/users/me"), httpx.post(url + "/2/tweets", json={"text": "hello"}, headers=APP)):
        assert answer.status_code == 403
        assert answer.json()["title"] == "Unsupported Authentication"


def test_a_timeline_by_tweepy(url: str) -> None:
    class Session(requests.Session):
        def request(self, method: str, address: str, **keywords: Any) -> requests.Response:  # type: ignore[override]
            return super().request(method, address.replace("https://api.twitter.com", url), **keywords)

    client = tweepy.Client(DEMO_BEARER)
    client.session = Session()
    pages = tweepy.Paginator(client.get_users_tweets, "1", max_results=5, tweet_fields=["created_at"])
    posts = list(pages.flatten())
    assert [tweet.text for tweet in posts] == [f"post {number} of 1" for number in reversed(range(12))]
    assert posts[0].created_at.isoformat() == "2024-01-01T11:00:00+00:00"


def test_a_timeline_between_two_posts_and_since_a_time(get: Get) -> None:
    low, high = post(1, 3)["id"], post(1, 8)["id"]
    assert ids(get("/2/users/1/tweets", since_id=low, until_id=high)) == [7, 6, 5, 4]
    first = get("/2/users/1/tweets", until_id=high, max_results=5)
    assert ids(first) == [7, 6, 5, 4, 3]
    rest = get("/2/users/1/tweets", until_id=high, pagination_token=first.json()["meta"]["next_token"])
    assert ids(rest) == [2, 1, 0]
    assert "next_token" not in rest.json()["meta"]
    assert ids(get("/2/users/1/tweets", start_time="2024-01-01T09:00:00Z")) == [11, 10, 9]
    assert get("/2/users/1/tweets", since_id=post(1, 11)["id"]).json() == {"meta": {"result_count": 0}}


def test_what_is_left_out(get: Get) -> None:
    assert ids(get("/2/users/2/tweets")) == [4, 3, 2, 1]
    assert ids(get("/2/users/2/tweets", exclude="retweets")) == [4, 3, 2]
    assert ids(get("/2/users/2/tweets", exclude="replies,retweets")) == [4]


def test_a_timeline_ends_at_3200_posts_and_at_800_without_replies(get: Get, world: World) -> None:
    world.write([post(3, number) for number in range(3300)])
    end = post(3, 102)["id"]
    assert ids(get("/2/users/3/tweets", until_id=end)) == [101, 100]
    assert get("/2/users/3/tweets", until_id=end, exclude="replies").json() == {"meta": {"result_count": 0}}
    assert ids(get("/2/users/3/tweets", until_id=post(3, 2502)["id"], exclude="replies")) == [2501, 2500]


def test_who_is_not_shown_is_an_error_in_a_good_answer(get: Get) -> None:
    told = get("/2/users/by", usernames="anna,suspended,protected,gone,nobody", user_fields="protected").json()
    assert [(user["username"], user["protected"]) for user in told["data"]] == [("anna", False), ("protected", True)]
    assert [error["detail"] for error in told["errors"]] == [
        "User has been suspended: [suspended].",
        "Could not find user with usernames: [gone].",
        "Could not find user with usernames: [nobody].",
    ]
    for id, says in (
        (4, "suspended: [4]"),
        (5, "not authorized to see the user with id: [5]"),
        (6, "find user with id"),
    ):
        answer = get(f"/2/users/{id}/tweets")
        assert (answer.status_code, [*answer.json()]) == (200, ["errors"])
        assert says in answer.json()["errors"][0]["detail"]


def test_followers_come_in_pages(get: Get) -> None:
    seen: list[str] = []
    token = {}
    for size in (1000, 1000, 500):
        page = get("/2/users/1/followers", max_results=1000, **token).json()
        assert page["meta"]["result_count"] == len(page["data"]) == size
        seen += [user["id"] for user in page["data"]]
        token = {"pagination_token": page["meta"].get("next_token")}
    assert (seen, token) == ([str(id) for id in range(2500)], {"pagination_token": None})


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/2/users/by", {}),
        ("/2/users/by", {"usernames": ",".join(f"u{n}" for n in range(101))}),
        ("/2/users/by", {"usernames": "two words"}),
        ("/2/users/1/tweets", {"max_results": 4}),
        ("/2/users/1/tweets", {"since_id": "x"}),
        ("/2/users/1/tweets", {"start_time": "yesterday"}),
        ("/2/users/1/tweets", {"exclude": "links"}),
        ("/2/users/1/followers", {"max_results": 1001}),
        ("/2/users/1/followers", {"pagination_token": "F1"}),
    ],
)
def test_an_invalid_query(get: Get, path: str, query: dict[str, Any]) -> None:
    assert get(path, **query).status_code == 400


def test_limits_end_with_their_window(get: Get) -> None:
    assert get("/2/users/1/tweets").headers["x-rate-limit-limit"] == "900"
    assert get("/2/users/by", usernames="anna").headers["x-rate-limit-limit"] == "300"
    limits = Limits()
    assert [limits.take("app", "followers")[0] for _ in range(301)] == [True] * 300 + [False]
    assert limits.take("user", "followers")[0]
    _, headers = limits.take("app", "followers")
    assert headers["x-rate-limit-remaining"] == "0"
    assert 895 < int(headers["x-rate-limit-reset"]) - time.time() < 902
    limits.windows["app", "followers"] = time.time() - 1, 300
    assert limits.take("app", "followers")[0]


def test_the_bill_is_x_s(get: Get, url: str, bill: Bill) -> None:
    get("/2/users/1/tweets", max_results=5)
    get("/2/users/1/tweets", max_results=10)  # five of them again, in one day
    get("/2/users/by", usernames="anna,ben,nobody")
    get("/2/users/4/tweets")
    assert bill.dollars == pytest.approx(10 * 0.005 + 2 * 0.010)
    assert httpx.get(url + "/bill").json() == {"requests": 4, "read": {"post": 10, "user": 2}, "dollars": 0.07}
    bill._day -= 1
    get("/2/users/1/tweets", max_results=5)
    assert bill.dollars == pytest.approx(15 * 0.005 + 2 * 0.010)
    assert "15 posts and 2 users, for $0.095" in httpx.get(url).text


def test_troubles(get: Get, url: str, troubles: Troubles, bill: Bill) -> None:
    for kind, status in (
        ("401", 401),
        ("402", 402),
        ("403", 403),
        ("app", 403),
        ("404", 404),
        ("429", 429),
        ("503", 503),
    ):
        troubles.planned.append(kind)
        assert get("/2/users/1/tweets").status_code == status
    assert bill.dollars == 0
    troubles.planned += ["errors", "alone", "empty", "cut"]
    assert {*get("/2/users/1/tweets").json()} == {"data", "meta", "errors"}
    assert {*get("/2/users/1/tweets").json()} == {"errors"}
    assert get("/2/users/1/tweets").json() == {}
    with pytest.raises(httpx.RemoteProtocolError):
        get("/2/users/1/tweets")
    assert get("/2/users/1/tweets").status_code == 200
    troubles.planned += ["slow"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url + "/2/users/1/tweets", headers=APP, timeout=0.2)


def test_troubles_by_switch() -> None:
    troubles = parse(("503:2", "cut:3"))
    assert [troubles.next() for _ in range(6)] == ["", "503", "cut", "503", "", "503"]
    for wrong in ("504", "503:0", "503:x"):
        with pytest.raises(UsageError, match="write KIND or KIND:EVERY"):
            parse((wrong,))


def test_the_files(tmp_path: Path) -> None:
    users, posts = tmp_path / "users.jsonl", tmp_path / "posts.jsonl"
    users.write_text('{"id": 1, "username": "anna"}\n\n{"id": "2", "username": "Ben", "state": "gone"}\n')
    posts.write_text(json.dumps(post(1, 0)) + "\n" + json.dumps(post(1, 1)) + "\n")
    world = read_world(users, posts)
    assert [one["text"] for one in world.names["anna"].posts] == ["post 1 of 1", "post 0 of 1"]
    assert world.names["ben"].state == "gone"
    for text, says in (
        ('{"id": 1}', "users.jsonl:1: has no username"),
        ('{"id": 1, "username": "a", "state": "asleep"}', "users.jsonl:1: is not as it should be: the state asleep"),
        ("[]", "users.jsonl:1: is not as it should be: no JSON object"),
        ("{", "users.jsonl:1: is not as it should be"),
    ):
        users.write_text(text)
        with pytest.raises(UsageError, match=says):
            read_world(users, None)
    with pytest.raises(UsageError, match="nowhere: cannot be read: No such file"):
        read_world(tmp_path / "nowhere", None)


def test_answers_are_as_x_describes_them(shared: Path, get: Get, troubles: Troubles) -> None:
    """X's own OpenAPI description, with every field that is asked for."""
    described = json.loads((shared / "data/x-api/x_api_v2_openapi.json").read_text())
    fields = "created_at,public_metrics,referenced_tweets,in_reply_to_user_id,author_id"
    troubles.planned += ["", "", "", "errors", "alone"]
    for path, query, name in (
        ("/2/users/by", {"usernames": "anna,nobody,suspended", "user_fields": "public_metrics,protected"}, "by"),
        ("/2/users/1/followers", {"user_fields": "public_metrics"}, "{id}/followers"),
        ("/2/users/2/tweets", {"tweet_fields": fields, "max_results": 5}, "{id}/tweets"),
        ("/2/users/2/tweets", {"tweet_fields": fields}, "{id}/tweets"),
        ("/2/users/2/tweets", {}, "{id}/tweets"),
        ("/2/users/5/tweets", {}, "{id}/tweets"),
    ):
        responses = described["paths"][f"/2/users/{name}"]["get"]["responses"]
        schema = responses["200"]["content"]["application/json"]["schema"]
        answer = get(path, **query)
        assert answer.status_code == 200
        Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json())


def test_answers_have_the_shape_of_recorded_ones(shared: Path, get: Get) -> None:
    """The keys of replies that X gave to tweepy, and the kinds of their values."""

    def shape(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {key: shape(value) for key, value in thing.items()}
        return [shape(thing[0])] if isinstance(thing, list) else type(thing).__name__

    def recorded(name: str) -> Any:
        file = shared / f"data/x-api/tweepy_cassettes/test_client_{name}.yaml"
        first = yaml.safe_load(file.read_text())["interactions"][0]
        return json.loads(gzip.decompress(first["response"]["body"]["string"]))

    assert shape(get("/2/users/by", usernames="anna").json()) == shape(recorded("get_users"))
    assert shape(get("/2/users/1/tweets").json()) == shape(recorded("get_users_tweets"))
    assert shape(get("/2/users/1/followers").json()) == shape(recorded("get_users_followers"))
