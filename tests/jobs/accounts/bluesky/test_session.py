"""Sessions: kept, renewed, refused; by a server that answers what a test says. The real one is in test_account.py."""

import base64
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.accounts.bluesky.sealed import Seal
from jobs.accounts.bluesky.session import NotSignedIn, Session, Sessions
from mynah.database.connection import Connection, connect
from tests.answering import Scripted


def token(seconds: float, name: str = "a") -> str:
    """A JWT that ends so many seconds from now."""
    said = json.dumps({"exp": int(time.time() + seconds), "jti": name})
    return "h." + base64.urlsafe_b64encode(said.encode()).decode().rstrip("=") + ".s"


def session(seconds: float = 7200, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"did": "did:plc:a", "accessJwt": token(seconds, name), "refreshJwt": f"refresh-{name}", **more}


@pytest.fixture
def sessions(scripted: Scripted, database_url: str, tmp_path: Path) -> Callable[..., Sessions]:
    def open_sessions(password: str = "right", handle: str = "a.test") -> Sessions:
        return Sessions(
            scripted.host, handle, password, "BLUESKY_APP_PASSWORD", lambda: connect(database_url, tmp_path)
        )

    return open_sessions


def calls(scripted: Scripted) -> list[str]:
    return [asked.rpartition(".")[2] for asked in scripted.asked]


def test_signs_in_once(scripted: Scripted, sessions: Callable[..., Sessions], connection: Connection) -> None:
    scripted.answer = lambda method, path: (200, session())
    with httpx.Client() as http:
        first = sessions().get(http)
        assert first == Session("did:plc:a", session()["accessJwt"], "refresh-a", scripted.host)
        assert [sessions().get(http) for _ in range(5)] == [first] * 5
        assert calls(scripted) == ["createSession"]
        sessions(handle="b.test").get(http)  # of its own
        sessions("another").get(http)  # a new password: what is kept opens with the old one only
    assert calls(scripted) == ["createSession"] * 3
    ((kept,),) = connection.execute("SELECT session FROM sessions WHERE handle = 'a.test'")
    assert b"refresh-a" not in kept


def test_renews_before_the_end(scripted: Scripted, sessions: Callable[..., Sessions]) -> None:
    answers = [
        (200, session(30)),
        (200, session(7200, "b")),
        (400, {"error": "ExpiredToken"}),
        (200, session(name="c")),
    ]
    scripted.answer = lambda method, path: answers.pop(0)
    with httpx.Client() as http:
        sessions().get(http)
        second = sessions().get(http)
        assert second.refresh == "refresh-b"
        # The server took neither it nor its refresh token: only the password helps.
        assert sessions().get(http, stale=second).refresh == "refresh-c"
        assert sessions().get(http, stale=second).refresh == "refresh-c"  # somebody else renewed it meanwhile
    assert calls(scripted) == ["createSession", "refreshSession", "refreshSession", "createSession"]


def test_a_renewal_that_fails_keeps_the_session(scripted: Scripted, sessions: Callable[..., Sessions]) -> None:
    answers: list[Any] = [(200, session(30)), (503, {}), None, (200, b"<h1>"), (200, session(name="b"))]
    scripted.answer = lambda method, path: answers.pop(0)
    with httpx.Client() as http:
        sessions().get(http)
        for says in ("503", "lost", "200"):
            with pytest.raises(NotSignedIn, match=says):
                sessions().get(http)
        assert sessions().get(http).refresh == "refresh-b"
    assert calls(scripted) == ["createSession", *["refreshSession"] * 4]


def test_a_refused_password_is_not_tried_again(
    scripted: Scripted, sessions: Callable[..., Sessions], connection: Connection
) -> None:
    refusal = {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}
    scripted.answer = lambda method, path: (401, refusal)
    with httpx.Client() as http:
        for _ in range(5):
            with pytest.raises(NotSignedIn, match=r"Invalid identifier or password.*set BLUESKY_APP_PASSWORD") as error:
                sessions().get(http)
            assert error.value.until
            assert timedelta(hours=23) < error.value.until - datetime.now(UTC) < timedelta(hours=25)
        assert calls(scripted) == ["createSession"]
        with pytest.raises(NotSignedIn):
            sessions("another").get(http)
        assert calls(scripted) == ["createSession"] * 2
        connection.execute("UPDATE sessions SET refused_until = now()")
        scripted.answer = lambda method, path: (200, session())
        assert sessions("another").get(http)  # a day later


def test_a_server_that_lets_nobody_in(scripted: Scripted, sessions: Callable[..., Sessions]) -> None:
    reset = int(time.time()) + 200
    scripted.answer = lambda method, path: (429, {"error": "RateLimitExceeded"}, {"ratelimit-reset": str(reset)})
    with httpx.Client() as http:
        for password in ("right", "right", "another"):
            with pytest.raises(NotSignedIn, match="takes no more sign-ins") as error:
                sessions(password).get(http)
            assert error.value.until == datetime.fromtimestamp(reset, UTC)
    assert calls(scripted) == ["createSession"]


@pytest.mark.parametrize("answer", [None, (500, {}), (200, {}), (200, b"<h1>"), (200, session() | {"accessJwt": "x"})])
def test_no_answer_is_no_refusal(scripted: Scripted, sessions: Callable[..., Sessions], answer: Any) -> None:
    answers = [answer, (200, session())]
    scripted.answer = lambda method, path: answers.pop(0)
    with httpx.Client() as http:
        with pytest.raises(NotSignedIn):
            sessions().get(http)
        assert sessions().get(http)


def test_many_at_once_sign_in_once(scripted: Scripted, sessions: Callable[..., Sessions]) -> None:
    def slow(method: str, path: str) -> Any:
        time.sleep(0.2)
        return 200, session(7200, "b" if path.endswith("refreshSession") else "a")

    scripted.answer = slow
    got: list[Session] = []

    def work(stale: Session | None) -> None:
        with httpx.Client() as http:
            got.append(sessions().get(http, stale))

    for stale, made in ((None, "createSession"), (Session("", session()["accessJwt"], "", ""), "refreshSession")):
        stale = got[0] if stale and got else stale
        threads = [threading.Thread(target=work, args=(stale,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert calls(scripted)[-1] == made
    assert calls(scripted) == ["createSession", "refreshSession"]
    assert len(got) == 8


def test_where_the_account_lies(scripted: Scripted, sessions: Callable[..., Sessions]) -> None:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example/"}
    for endpoint, pds in (("https://pds.example/", "https://pds.example"), ("ftp://pds.example", scripted.host)):
        document = {"service": [service | {"serviceEndpoint": endpoint}]}
        scripted.answer = lambda method, path, document=document: (200, session(didDoc=document))
        with httpx.Client() as http:
            assert sessions(endpoint).get(http).pds == pds


def test_a_seal() -> None:
    seal = Seal("right", "https://bsky.social", "a.test")
    closed = seal.close(b"session")
    assert seal.open(closed) == b"session"
    assert closed != seal.close(b"session")
    for other in (
        Seal("wrong", "https://bsky.social", "a.test"),
        Seal("right", "https://other.example", "a.test"),
        Seal("right", "https://bsky.social", "b.test"),
    ):
        assert other.open(closed) is None
        assert other.token != seal.token
    assert seal.open(closed[:-1] + bytes([closed[-1] ^ 1])) is None
    assert seal.open(b"") is None
    assert Seal("right", "https://bsky.social", "a.test").token == seal.token
