"""The X simulator, as `mynah x-simulator` starts it, asked by the real tweepy."""

import base64
import hashlib
import html
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import oauthlib.oauth1
import pytest
import tweepy
from jsonschema import Draft202012Validator

from jobs.accounts.x import XAccount
from simulators.x.api import DEMO_KEYS
from tests.simulator import Simulator
from tests.x import simulated


class XSimulator(Simulator):
    """A running `mynah x-simulator`."""

    def __init__(self, home: Path, *arguments: str) -> None:
        super().__init__("x-simulator", home, *arguments)

    @property
    def tweepy(self) -> tweepy.Client:
        keys = [self.env[name] for name in DEMO_KEYS]
        return XAccount(*keys, api_url=self.url)._client


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XSimulator]:
    """One simulator for the tests that mind no other's posts."""
    simulator = XSimulator(tmp_path_factory.mktemp("home"))
    yield simulator
    simulator.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def start() -> Iterator[Callable[..., XSimulator]]:
    """Starts simulators, and stops them when the test ends, however it ends."""
    started: list[XSimulator] = []

    def start(*arguments: Any) -> XSimulator:
        started.append(XSimulator(*arguments))
        return started[-1]

    yield start
    for simulator in started:
        simulator.process.kill()
        simulator.process.communicate()


def test_says_how_to_post_to_it(running: XSimulator) -> None:
    assert running.said[0].startswith(f"X simulator on {running.url}, kept in ")
    assert list(running.env) == ["X_API_URL", *DEMO_KEYS, "X_BEARER_TOKEN"]
    assert httpx.get(running.url + "/health").json() == {"status": "ok"}


def test_create_read_delete(running: XSimulator) -> None:
    client = running.tweepy
    user = client.get_me(user_auth=True)["data"]
    assert set(user) == {"id", "name", "username"}
    created = client.create_tweet(text="caf\u0065\u0301 & <tea>  ")["data"]
    assert created == {"id": created["id"], "text": "café &amp; &lt;tea&gt;", "edit_history_tweet_ids": [created["id"]]}
    read = client.get_users_tweets(user["id"], user_auth=True, tweet_fields=["created_at", "author_id"])["data"][0]
    assert (read["id"], read["text"], read["author_id"]) == (created["id"], created["text"], user["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read["created_at"])
    made = ((int(created["id"]) >> 22) + 1288834974657) / 1000
    assert abs(made - time.time()) < 60  # an id tells its time, as X's do

    assert client.delete_tweet(created["id"]) == {"data": {"deleted": True}}
    with pytest.raises(tweepy.NotFound, match="Could not find tweet"):
        client.delete_tweet(created["id"])
    ids = [t["id"] for t in client.get_users_tweets(user["id"], user_auth=True).get("data", [])]
    assert created["id"] not in ids
    client.create_tweet(text="café & <tea>")  # no duplicate any more


def test_pages_of_the_timeline(home: Path, start: Callable[..., XSimulator]) -> None:
    simulator = start(home)
    client = simulator.tweepy
    me = client.get_me(user_auth=True)["data"]["id"]
    assert client.get_users_tweets(me, user_auth=True) == {"meta": {"result_count": 0}}
    ids = [client.create_tweet(text=f"number {number}")["data"]["id"] for number in range(12)]
    assert ids == sorted(ids, key=int)
    seen, token = [], None
    for size in (5, 5, 2):
        page = client.get_users_tweets(me, max_results=5, pagination_token=token, user_auth=True)
        assert page["meta"]["result_count"] == len(page["data"]) == size
        assert (page["meta"]["newest_id"], page["meta"]["oldest_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        seen += [tweet["id"] for tweet in page["data"]]
        token = page["meta"].get("next_token")
    assert (seen, token) == (ids[::-1], None)


def test_links_are_shown_as_x_shows_them(running: XSimulator) -> None:
    client = running.tweepy
    me = client.get_me(user_auth=True)["data"]["id"]
    client.create_tweet(text="& see example.com/a-very-long-path-to-show?a=b&c=d or http://example.org")
    post = client.get_users_tweets(me, user_auth=True, tweet_fields=["entities"])["data"][0]
    first, second = post["entities"]["urls"]
    assert post["text"] == f"&amp; see {first['url']} or {second['url']}"
    assert post["text"][first["start"] : first["end"]] == first["url"]
    assert re.fullmatch(r"https://t\.co/\w{10}", first["url"])
    assert first["expanded_url"] == "http://example.com/a-very-long-path-to-show?a=b&c=d"
    assert first["display_url"] == "example.com/a-very-long-pa…"
    assert (second["expanded_url"], second["display_url"]) == ("http://example.org", "example.org")


def test_a_duplicate(running: XSimulator) -> None:
    running.tweepy.create_tweet(text="said once")
    with pytest.raises(tweepy.Forbidden) as error:
        running.tweepy.create_tweet(text=" said once ")
    assert error.value.response.json() == {
        "detail": "You are not allowed to create a Tweet with duplicate content.",
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"text": "x" * 281}, "weighs 281 of at most 280"),
        ({"text": "漢" * 141}, "weighs 282"),
        ({"text": " \n"}, "it is empty"),
        ({}, "it is empty"),
        ({"text": "a\ufeffb"}, "U+FEFF"),
        ({"text": "a\ud800b"}, "U+D800"),
        ({"text": 5}, "must be a string"),
        ({"text": "a", "colour": "red"}, "$.colour: is not defined in the schema"),
        ({"text": "a", "poll": {"options": ["a", "b"]}}, "posts text alone"),
        ([1], "not a JSON object"),
    ],
)
def test_an_invalid_request(running: XSimulator, body: Any, says: str) -> None:
    with pytest.raises(tweepy.BadRequest) as error:
        running.tweepy.request("POST", "/2/tweets", json=body, user_auth=True)
    problem = error.value.response.json()
    assert problem["type"] == "https://api.x.com/2/problems/invalid-request"
    assert (problem["title"], problem["status"]) == ("Invalid Request", 400)
    assert says in problem["errors"][0]["message"]


def test_an_invalid_query(running: XSimulator) -> None:
    client = running.tweepy
    me = client.get_me(user_auth=True)["data"]["id"]
    for query in ({"max_results": 4}, {"max_results": 101}, {"pagination_token": "x"}, {"expansions": "author_id"}):
        with pytest.raises(tweepy.BadRequest):
            client.get_users_tweets(me, user_auth=True, **query)
    stranger = client.get_users_tweets("12", user_auth=True)
    assert list(stranger) == ["errors"]
    assert stranger["errors"][0]["title"] == "Not Found Error"


def test_limits(home: Path, start: Callable[..., XSimulator]) -> None:
    simulator = start(home)
    session, client = simulator.tweepy.session, simulator.tweepy
    client.session = session
    answers = []
    session.hooks["response"].append(lambda response, **_: answers.append(response))
    begin = time.time()
    for number in range(100):
        client.create_tweet(text=f"number {number}")
    with pytest.raises(tweepy.TooManyRequests) as error:
        client.create_tweet(text="one more")
    assert error.value.response.json() == {
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "type": "about:blank",
        "status": 429,
    }
    assert begin + 900 <= (error.value.reset_time or 0) <= time.time() + 901
    left = [int(answer.headers["x-rate-limit-remaining"]) for answer in answers]
    assert left == [*range(99, -1, -1), 0]
    assert {answer.headers["x-rate-limit-limit"] for answer in answers} == {"100"}
    assert client.get_me(user_auth=True)  # has a limit of its own
    assert answers[-1].headers["x-rate-limit-limit"] == "75"


def sign(url: str, method: str = "GET", *, keys: dict[str, str] | None = None, **how: Any) -> dict[str, str]:
    """The Authorization header of a request, by oauthlib's own client."""
    names = ("X_API_KEY", "X_API_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")
    client = oauthlib.oauth1.Client(*((keys or DEMO_KEYS)[name] for name in names), **how)
    return dict(client.sign(url, method)[1])


def test_only_signed_requests_are_answered(running: XSimulator) -> None:
    url = running.url + "/2/users/me"
    assert httpx.get(url, headers=sign(url)).status_code == 200
    for timestamp, status in ((time.time() - 200, 200), (time.time() - 400, 401), (time.time() + 400, 401)):
        assert httpx.get(url, headers=sign(url, timestamp=str(int(timestamp)))).status_code == status
    for name in DEMO_KEYS:
        wrong = sign(url, keys=DEMO_KEYS | {name: DEMO_KEYS[name][:-1] + "x"})
        assert httpx.get(url, headers=wrong).status_code == 401
    for headers in (
        {},
        {"authorization": "Bearer AAAA"},
        {"authorization": "OAuth nonsense"},
        sign(url, method="POST"),
        sign(url + "?user.fields=id"),
        sign(url, signature_method=oauthlib.oauth1.SIGNATURE_PLAINTEXT),
    ):
        refused = httpx.get(url, headers=headers)
        assert refused.status_code == 401
        assert refused.json() == {
            "title": "Unauthorized",
            "detail": "Unauthorized",
            "type": "about:blank",
            "status": 401,
        }
    assert httpx.get(url + "?%zz", headers=sign(url)).status_code == 401


def test_a_request_cannot_be_replayed(running: XSimulator) -> None:
    url = running.url + "/2/users/me"
    headers = sign(url)
    assert [httpx.get(url, headers=headers).status_code for _ in range(2)] == [200, 401]


def test_a_body_without_end_is_refused(running: XSimulator) -> None:
    url = running.url + "/2/tweets"
    assert httpx.post(url, content=b"x" * 70_000, headers=sign(url, "POST")).status_code == 413


def test_what_it_was_told_outlives_it(home: Path, start: Callable[..., XSimulator]) -> None:
    first = start(home)
    client = first.tweepy
    gone = client.create_tweet(text="gone")["data"]["id"]
    kept = client.create_tweet(text="kept")["data"]["id"]
    client.delete_tweet(gone)
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    with (home / "x-simulator.jsonl").open("a") as file:
        file.write('{"event": "posted", "id": "9", "te')  # as a crash in the middle of a write leaves it
    second = start(home)
    client = second.tweepy
    me = client.get_me(user_auth=True)["data"]["id"]
    assert [tweet["id"] for tweet in client.get_users_tweets(me, user_auth=True)["data"]] == [kept]
    with pytest.raises(tweepy.Forbidden):
        client.create_tweet(text="kept")
    client.create_tweet(text="gone")
    assert "X would have charged $0.045" in httpx.get(second.url).text


def test_it_shows_whom_the_files_name_and_goes_wrong_as_told(home: Path, start: Callable[..., XSimulator]) -> None:
    home.mkdir()
    (home / "users.jsonl").write_text('{"id": "1", "username": "anna"}\n')
    (home / "posts.jsonl").write_text('{"id": "1741600000000000001", "author_id": "1", "text": "hello"}\n')
    files = ("--users", str(home / "users.jsonl"), "--posts", str(home / "posts.jsonl"))
    simulator = start(home, *files, "--window", "60", "--trouble", "503:2")
    client = tweepy.Client(simulator.env["X_BEARER_TOKEN"], return_type=dict)
    client.session = simulator.tweepy.session
    before = time.time()
    assert client.get_users_tweets("1")["data"][0]["text"] == "hello"
    with pytest.raises(tweepy.TwitterServerError) as error:
        client.get_users(usernames=["anna"])
    assert int(error.value.response.headers["x-rate-limit-reset"]) < before + 120
    assert client.get_users(usernames=["anna"])["data"][0]["id"] == "1"
    wrong = start(home / "other", "--trouble", "504")
    assert "--trouble 504: write KIND or KIND:EVERY" in wrong.process.communicate(timeout=20)[1]


def test_its_page(home: Path, start: Callable[..., XSimulator]) -> None:
    simulator = start(home)
    assert "Nothing posted yet" in httpx.get(simulator.url).text
    client = simulator.tweepy
    evil = "<script>alert('1')</script>\n&amp; ${name} second line"
    client.create_tweet(text=evil)
    client.create_tweet(text="the newest: example.com")
    with pytest.raises(tweepy.Forbidden):
        client.create_tweet(text=evil)
    assert httpx.get(simulator.url + "/2/users/me").status_code == 401

    page = httpx.get(simulator.url)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert page.text.count(html.escape(evil)) == 2  # posted, and refused
    assert page.text.index("the newest") < page.text.index("second line")
    assert f"weight {len(evil)} · $0.015" in page.text
    assert "weight 35 · $0.200" in page.text
    assert "Posts: 2. X would have charged $0.215" in page.text
    assert "403 You are not allowed to create a Tweet with duplicate content." in page.text
    assert "GET /2/users/me" in page.text
    assert '<meta http-equiv="refresh"' in page.text

    policy = page.headers["content-security-policy"]
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert not re.search(r"(src|href)=\"(?!#)", page.text)  # nothing is fetched from elsewhere
    assert not re.search(r" (style|on\w+)=", page.text)


def test_stops_when_told(home: Path, start: Callable[..., XSimulator]) -> None:
    simulator = start(home)
    with httpx.Client() as client:
        client.get(simulator.url)  # keeps its connection open
        assert simulator.stop() in (0, 143, -signal.SIGTERM)


def test_a_port_or_a_file_in_use(running: XSimulator, home: Path, start: Callable[..., XSimulator]) -> None:
    port = running.url.rpartition(":")[2]
    busy = start(home, "--port", port)
    _, complaint = busy.process.communicate(timeout=20)
    assert busy.process.returncode == 1
    assert complaint.count("\n") == 1
    assert (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --host and --port" in complaint
    )

    state = Path(running.said[0].partition("kept in ")[2].partition(";")[0])
    second = start(state.parent)
    _, complaint = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert complaint.count("\n") == 1
    assert f"{state} is in use by another process" in complaint


def test_kept_lines_are_json(running: XSimulator) -> None:
    state = Path(running.said[0].partition("kept in ")[2].partition(";")[0])
    assert {json.loads(line)["event"] for line in state.read_text().splitlines()} <= {"posted", "deleted", "refused"}


def test_what_it_answers_to_posting_is_as_x_describes_it(running: XSimulator, shared: Path) -> None:
    """X's own OpenAPI description: a post, an account's own timeline with every field asked for, refusals."""
    described = json.loads((shared / "data/x-api/x_api_v2_openapi.json").read_text())
    client, user = running.tweepy, DEMO_KEYS["X_ACCESS_TOKEN"].partition("-")[0]
    text = "as X describes it: https://example.com/a & more"
    fields = "created_at,entities,note_tweet,public_metrics,author_id"
    made = client.request("POST", "/2/tweets", json={"text": text}, user_auth=True)
    for answer, method, path, status in (
        (made, "post", "/2/tweets", "201"),
        (client.request("GET", "/2/users/me", user_auth=True), "get", "/2/users/me", "200"),
        (
            client.request("GET", f"/2/users/{user}/tweets", {"tweet.fields": fields}, user_auth=True),
            "get",
            "/2/users/{id}/tweets",
            "200",
        ),
        (
            client.request("DELETE", f"/2/tweets/{made.json()['data']['id']}", user_auth=True),
            "delete",
            "/2/tweets/{id}",
            "200",
        ),
    ):
        assert answer.status_code == int(status)
        schema = described["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json())
    with pytest.raises(tweepy.BadRequest) as refused:
        client.create_tweet(text="x" * 281)
    problem = described["components"]["schemas"]["Problem"]
    Draft202012Validator({**problem, "components": described["components"]}).validate(refused.value.response.json())


def test_its_clock_and_its_lag(tmp_path: Path) -> None:
    with simulated(tmp_path / "x.jsonl", ahead=500, lag=0.5) as url:
        client = XAccount(*DEMO_KEYS.values(), api_url=url)._client
        me = client.get_me(user_auth=True)["data"]["id"]
        made = client.create_tweet(text="hello")["data"]["id"]

        def timeline() -> list[dict[str, Any]]:
            posts: list[dict[str, Any]] = client.get_users_tweets(me, user_auth=True, tweet_fields=["created_at"]).get(
                "data", []
            )
            return posts

        assert timeline() == []
        end = time.monotonic() + 5
        while not timeline() and time.monotonic() < end:
            time.sleep(0.05)
        (post,) = timeline()
        assert post["id"] == made
        assert 495 < datetime.fromisoformat(post["created_at"]).timestamp() - time.time() < 505


def test_it_is_hostile_as_told(home: Path, start: Callable[..., XSimulator]) -> None:
    simulator = start(home, "--hostile", "after:100")
    with pytest.raises(tweepy.TwitterServerError) as error:
        simulator.tweepy.create_tweet(text="it stands")
    assert error.value.response.json()["title"] == "Service Unavailable"
    assert "it stands" in httpx.get(simulator.url).text
