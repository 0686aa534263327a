"""The Mastodon simulator, as `mynah mastodon-simulator` starts it, asked by the real Mastodon.py."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import httpx
import mastodon
import pytest
from mastodon import return_types

from mynah.journal import opened
from simulators.mastodon.api import DEMO_TOKEN, application
from tests.loopback import app_served
from tests.simulator import Simulator


def client(url: str, **how: Any) -> mastodon.Mastodon:
    how = {"access_token": DEMO_TOKEN, "ratelimit_method": "throw"} | how
    return mastodon.Mastodon(api_base_url=url, **how)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with opened(tmp_path / "mastodon.jsonl") as journal, app_served(application(journal)) as url:
        yield url


def lacking(kind: type, answer: dict[str, Any], path: str = "") -> list[str]:
    """What an answer lacks of an entity as Mastodon.py knows it: its fields that are not optional, at any depth."""
    lacks = []
    for name, hint in kind.__annotations__.items():
        while isinstance(hint, str):  # within quotes, at times twice
            hint = eval(hint, vars(return_types))
        optional = type(None) in get_args(hint)
        inner = next((one for one in get_args(hint) if one is not type(None)), hint) if optional else hint
        if name not in answer:
            lacks += [] if optional else [f"{path}{name}"]
        elif isinstance(answer[name], dict) and isinstance(inner, type) and hasattr(inner, "__annotations__"):
            lacks += lacking(inner, answer[name], f"{path}{name}.")
        elif isinstance(answer[name], list) and get_origin(hint) and answer[name] and isinstance(answer[name][0], dict):
            lacks += lacking(get_args(hint)[0], answer[name][0], f"{path}{name}.")
    return lacks


# Of later versions than 4.5, and an Application's that only its owner sees.
NOT_THERE = r"collection|show_|feature_approval|max_\w+_length|profile_field|application\."


def test_its_answers_have_the_shape_of_mastodons_entities(url: str) -> None:
    made = client(url).status_post("hello #world from https://example.com/a, @mynah_demo")
    headers = {"authorization": f"Bearer {DEMO_TOKEN}"}
    for path, kind in (
        (f"/api/v1/statuses/{made.id}", return_types.Status),
        ("/api/v1/accounts/verify_credentials", return_types.Account),
        ("/api/v2/instance", return_types.InstanceV2),
    ):
        answer = httpx.get(url + path, headers=headers).json()
        assert [name for name in lacking(kind, answer) if not re.search(NOT_THERE, name)] == []


def test_post_read_delete(url: str) -> None:
    server = client(url)
    me = server.account_verify_credentials()
    assert (me.acct, me.bot) == ("mynah_demo", True)
    text = "Tea & <cake>\nfor two\n\nat https://www.example.com/a-very-long-path-to-show?a=b&c=d"
    made = server.status_post(f" {text} ", visibility="unlisted", language="en")
    assert server.account_statuses(me.id)[0] == made == server.status(made.id)
    assert (made.visibility, made.language) == ("unlisted", "en")
    assert abs(made.created_at.timestamp() - time.time()) < 60
    assert made.content == (
        '<p>Tea &amp; &lt;cake&gt;<br />for two</p><p>at <a href="https://www.example.com/a-very-long-path-to-show?a=b'
        '&amp;c=d" target="_blank" rel="nofollow noopener noreferrer" translate="no"><span class="invisible">'
        'https://www.</span><span class="ellipsis">example.com/a-very-long-path-t</span><span class="invisible">'
        "o-show?a=b&amp;c=d</span></a></p>"
    )
    assert server.status_source(made.id).text == text
    assert server.statuses([made.id])[0].id == made.id
    page = httpx.get(made.url, follow_redirects=True)
    assert "Tea &amp; &lt;cake&gt;" in page.text
    assert "unlisted" in page.text
    server.status_delete(made.id)
    with pytest.raises(mastodon.MastodonNotFoundError):
        server.status(made.id)
    assert server.account_statuses(me.id) == []


def test_pages_of_the_statuses(url: str) -> None:
    server = client(url)
    me = server.account_verify_credentials().id
    ids = [server.status_post(f"number {number}").id for number in range(45)][::-1]
    assert [status.id for status in server.account_statuses(me)] == ids[:20]
    page = server.account_statuses(me, limit=80)
    assert [status.id for status in page] == ids[:40]
    assert [status.id for status in server.account_statuses(me, max_id=ids[39])] == ids[40:]
    assert [status.id for status in server.fetch_next(page)] == ids[40:]
    assert [status.id for status in server.account_statuses(me, since_id=ids[3])] == ids[:3]
    assert [status.id for status in server.account_statuses(me, min_id=ids[10], limit=2)] == ids[8:10]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "can't be blank"), ("漢" * 501, "limit of 500"), ("a" * 480 + " https://example.com/a", "limit of 500")],
)
def test_refusals(url: str, text: str, says: str) -> None:
    with pytest.raises(mastodon.MastodonAPIError, match=says) as error:
        client(url).status_post(text)
    assert error.value.args[1] == 422
    assert says in httpx.get(url).text.replace("&#x27;", "'")


def test_what_it_takes(url: str) -> None:
    """A family is one character, a link 23, the host of a name nothing, and the same text comes twice."""
    server = client(url)
    server.status_post("👨‍👩‍👧‍👦" * 500)
    server.status_post("a" * 476 + " https://example.com/" + "b" * 300)
    server.status_post("a" * 492 + " @anna@a.very.long.host.example")
    for _ in range(2):
        server.status_post("again")
    assert len(server.account_statuses(server.account_verify_credentials().id)) == 5


def test_a_wrong_token(url: str) -> None:
    with pytest.raises(mastodon.MastodonUnauthorizedError, match="The access token is invalid"):
        client(url, access_token="wrong").status_post("hello")
    assert httpx.get(url + "/api/v2/instance").json()["configuration"]["statuses"] == {
        "max_characters": 500,
        "max_media_attachments": 4,
        "characters_reserved_per_url": 23,
    }


def test_the_limit(url: str) -> None:
    headers = {"authorization": f"Bearer {DEMO_TOKEN}"}
    with httpx.Client(headers=headers) as session:
        left = [session.get(url + "/api/v1/statuses").headers["x-ratelimit-remaining"] for _ in range(300)]
        assert left == [str(number) for number in range(299, -1, -1)]
        refused = session.get(url + "/api/v1/statuses")
    assert (refused.status_code, refused.json()) == (429, {"error": "Too many requests"})
    with pytest.raises(mastodon.MastodonRatelimitError):
        client(url).status_post("hello")


def test_a_repeat_is_the_same_status_for_an_hour(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = client(url)
    first = server.status_post("hello", idempotency_key="a")
    assert server.status_post("hello", idempotency_key="a").id == first.id
    assert server.status_post("hello", idempotency_key="b").id != first.id
    later = time.time() + 3601
    monkeypatch.setattr("simulators.mastodon.account.time.time", lambda: later)
    assert server.status_post("hello", idempotency_key="a").id != first.id


def test_a_repeat_while_the_first_is_at_work_makes_two(tmp_path: Path) -> None:
    with opened(tmp_path / "m.jsonl") as journal, app_served(application(journal, work=0.5)) as url:
        ids = []
        threads = [
            threading.Thread(target=lambda: ids.append(client(url).status_post("hello", idempotency_key="a").id))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ids)) == 2


def test_a_repeat_is_refused_though_the_status_stands(tmp_path: Path) -> None:
    with opened(tmp_path / "m.jsonl") as journal, app_served(application(journal, repeats_fail=True)) as url:
        server = client(url)
        made = server.status_post("hello", idempotency_key="a")
        with pytest.raises(mastodon.MastodonInternalServerError):
            server.status_post("hello", idempotency_key="a")
        assert [status.id for status in server.account_statuses(server.account_verify_credentials().id)] == [made.id]


def test_its_clock_and_its_lag(tmp_path: Path) -> None:
    with opened(tmp_path / "m.jsonl") as journal, app_served(application(journal, ahead=500, lag=0.5)) as url:
        server = client(url)
        me = server.account_verify_credentials().id
        made = server.status_post("hello")
        assert 495 < made.created_at.timestamp() - time.time() < 505
        assert server.account_statuses(me) == []
        end = time.monotonic() + 5
        while not server.account_statuses(me) and time.monotonic() < end:
            time.sleep(0.05)
        assert server.account_statuses(me)[0].id == made.id


def test_the_verb(tmp_path: Path) -> None:
    simulator = Simulator("mastodon-simulator", tmp_path, "--hostile", "after:100", "--seed", "2")
    assert simulator.said[0].startswith(f"Mastodon simulator on {simulator.url}, kept in {tmp_path}")
    assert list(simulator.env) == ["MASTODON_SERVER", "MASTODON_ACCESS_TOKEN"]
    with pytest.raises(mastodon.MastodonServiceUnavailableError):
        client(simulator.url).status_post("it stands")
    assert simulator.stop(signal.SIGKILL) == -signal.SIGKILL
    again = Simulator("mastodon-simulator", tmp_path)
    server = client(again.url)
    assert server.account_statuses(server.account_verify_credentials().id)[0].content == "<p>it stands</p>"
    assert "it stands" in httpx.get(again.url).text
    assert again.stop() == 143
    wrong = Simulator("mastodon-simulator", tmp_path, "--hostile", "rain")
    assert "--hostile rain: write storm, or KIND:PERCENT" in wrong.process.communicate(timeout=20)[1]
