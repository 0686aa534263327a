"""The client of a model server, against a server that answers what a test says."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from mynah import endpoint
from mynah.bot import Generate
from mynah.errors import MynahError
from tests.scripted import Answer, Server, choices, scripted


@pytest.fixture
def server() -> Iterator[Server]:
    with scripted() as server:
        yield server


def ask(server: Server, **keys: Any) -> list[endpoint.Completion]:
    with endpoint.client(server.address) as client:
        return list(endpoint.completions(client, "demo", "So", Generate(**{"samples": 2, **keys})))


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(endpoint.time, "sleep", slept.append)
    return slept


def test_a_server_without_metadata_that_is_ready_tells_no_id(server: Server) -> None:
    server.script = [(500, {"error": "Model of type VLLMModel does not support inference"}), (200, {})]
    with endpoint.client(server.address) as client:
        assert endpoint.serving_model(client, "demo") == endpoint.UNTOLD
        server.script = [(500, {"error": "no"}), (503, {})]
        with pytest.raises(MynahError, match="500"):
            endpoint.serving_model(client, "demo")


def test_every_text_comes_with_what_it_was_asked_with(server: Server) -> None:
    server.script = [lambda body: choices(*["a text"] * body["n"])]
    texts = ask(server, samples=45, seed=7, temperature=0.5)
    assert [text.seed for text in texts] == [7] * 20 + [27] * 20 + [47] * 5
    assert [body["seed"] for body in server.asked] == [7, 27, 47]
    assert texts[-1].sampling == {
        **{"temperature": 0.5, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.0, "max_tokens": 60},
        "n": 5,
    }
    assert server.asked[0]["prompt"] == ["So"]


def test_without_a_seed_one_is_drawn_and_sent(server: Server) -> None:
    server.script = [lambda body: choices("a text")]
    texts = ask(server)
    assert [text.seed for text in texts] == [body["seed"] for body in server.asked]
    assert texts[0].seed != texts[1].seed


@pytest.mark.parametrize("empty", [(), (None,), (None, None)])
def test_an_endpoint_that_goes_on_without_a_text_is_given_up(server: Server, empty: tuple[None, ...]) -> None:
    server.script = [choices(*empty)]
    with pytest.raises(MynahError, match="answers 3 times without a text: look at its log"):
        ask(server)
    assert len(server.asked) == 3


def test_what_is_missing_is_asked_for_again(server: Server) -> None:
    server.script = [choices("one", None), choices(), choices(), choices("two", "three", "four")]
    assert [text.text for text in ask(server, samples=3)] == ["one", "two", "three"]
    assert [body["n"] for body in server.asked] == [3, 2, 2, 2]


def test_whether_a_text_is_finished(server: Server) -> None:
    reasons: list[Any] = [{"finish_reason": "stop"}, {"finish_reason": "length"}, {}]
    server.script = [(200, {"choices": [{"text": "a text", **reason} for reason in reasons]})]
    assert [text.finished for text in ask(server, samples=3)] == [True, False, False]


def test_a_text_that_postgres_does_not_carry(server: Server) -> None:
    server.script = [(200, b'{"choices": [{"text": "a\\ud83d\\ude00b\\u0000c\\ud800", "finish_reason": "stop"}]}')]
    assert ask(server, samples=1)[0].text == "a😀b\ufffdc\ufffd"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, b"<h1>hello</h1>"), "gives no completion: it answers 200: <h1>hello</h1>"),
        ((200, [1]), "gives no completion: it answers 200: [1]"),
        ((200, {"choices": None}), "gives no completion"),
        ((200, {"choices": ["text"]}), "gives no completion"),
        ((200, {"choices": [{"message": {}}]}), "gives no completion"),
        ((500, b"oops\n\n" * 9), "answers 500: oops oops"),
        ((503, b""), "answers 503: Service Unavailable"),
        (None, "broke off"),
    ],
)
def test_what_is_no_completion_is_one_line(server: Server, answer: Answer | None, says: str) -> None:
    server.script = [answer]
    with pytest.raises(MynahError) as error:
        ask(server)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_is_waited_for(
    server: Server, naps: list[float], capsys: pytest.CaptureFixture[str], status: int
) -> None:
    busy = (status, {"error": "the model is warming up"}, {"retry-after": "7"})
    server.script = [busy, busy, choices("one", "two")]
    assert len(ask(server)) == 2
    assert naps == [7, 7]
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(f'answers {status}: {{"error": "the model is warming up"}}; again in 7 s')


def test_nobody_waits_for_ever(server: Server, naps: list[float]) -> None:
    server.script = [(503, b"loading", {"retry-after": "70"})]
    with pytest.raises(MynahError, match="answers 503: loading"):
        ask(server)
    assert sum(naps) <= endpoint.WAIT
    assert len(server.asked) == len(naps) + 1 == 3


@pytest.mark.parametrize("said", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_time_to_come_back_that_has_passed(server: Server, naps: list[float], said: str) -> None:
    server.script = [(503, b"", {"retry-after": said}), choices("one", "two")]
    assert len(ask(server)) == 2
    assert naps == [endpoint.PAUSE]


@pytest.mark.parametrize("said", ["", "soon", "-3", "9" * 400])
def test_a_time_to_come_back_that_is_none(server: Server, naps: list[float], said: str) -> None:
    server.script = [(503, b"", {"retry-after": said})]
    with pytest.raises(MynahError, match="answers 503"):
        ask(server)
    assert naps == []


def serving(server: Server, wait: float = 0) -> str:
    with endpoint.client(server.address) as client:
        return endpoint.serving_model(client, "demo", wait)


def test_which_model_is_served(server: Server, naps: list[float]) -> None:
    server.script = [(200, {"name": "demo", "versions": ["a-model"]})]
    assert serving(server) == "a-model"
    server.script = [(200, {"name": "demo"})]
    assert serving(server) == "unknown"
    server.script = [(503, b"loading", {"retry-after": "5"}), (200, {"versions": ["a-model"]})]
    assert serving(server, wait=60) == "a-model"
    assert naps == [5]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((404, {}), "serves no model named demo"),
        ((503, b"loading", {"retry-after": "5"}), "answers 503: loading"),
        ((200, b"<h1>hello</h1>"), "is no model server: it answers 200: <h1>hello</h1>"),
        ((200, []), "is no model server"),
        ((200, {"versions": 3}), "is no model server"),
    ],
)
def test_what_serves_no_model(server: Server, naps: list[float], answer: Answer, says: str) -> None:
    server.script = [answer]
    with pytest.raises(MynahError) as error:
        serving(server)
    assert says in str(error.value)
    assert naps == []


def test_nobody_is_there() -> None:
    with (
        endpoint.client("http://127.0.0.1:1") as client,
        pytest.raises(MynahError, match="gives no answer .*: start it with `mynah serve demo`"),
    ):
        endpoint.serving_model(client, "demo")


def events(*pieces: Any) -> Answer:
    """A stream of completions: (place, text, how it ended)."""
    said = [{"choices": [{"index": place, "text": text, "finish_reason": end}]} for place, text, end in pieces]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in said) + "data: [DONE]\n\n"
    return 200, body.encode()


def streamed(server: Server, **keys: Any) -> list[tuple[int, str, str | None]]:
    with endpoint.client(server.address) as client:
        return list(endpoint.stream(client, "demo", "So", Generate(**{"samples": 2, **keys})))


def test_a_stream_that_is_cut_off_as_if_it_had_ended_is_none(server: Server) -> None:
    status, body = events((0, " a", None))[:2]
    server.script = [(status, body.removesuffix(b"data: [DONE]\n\n"))]
    with pytest.raises(MynahError, match="broke off: its stream has no end"):
        streamed(server)


def test_texts_come_piece_by_piece(server: Server) -> None:
    server.script = [events((0, " a", None), (1, " b\ud800", None), (0, ".", "stop"), (1, "", "length"))]
    pieces = [(0, " a", None), (1, " b\ufffd", None), (0, ".", "stop"), (1, "", "length")]
    assert streamed(server, temperature=0.5) == pieces
    asked = server.asked[-1]
    assert (asked["n"], asked["stream"], asked["temperature"], asked["prompt"]) == (2, True, 0.5, ["So"])


def test_a_busy_server_is_waited_for_before_a_stream(server: Server, naps: list[float]) -> None:
    server.script = [(429, {"error": "busy"}, {"retry-after": "2"}), events((0, " a", "stop"))]
    assert streamed(server) == [(0, " a", "stop")]
    assert naps == [2]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ((500, {"error": "no luck"}), "answers 500: .*no luck"),
        ((200, b'data: {"error": {"message": "the engine ended"}}\n\n'), "broke off: the engine ended"),
        ((200, b"data: what\n\n"), "gives no completion: it says data: what"),
        (None, "broke off"),
    ],
)
def test_a_stream_that_goes_wrong_is_one_line(server: Server, said: Answer | None, says: str) -> None:
    server.script = [said]
    with pytest.raises(MynahError, match=says) as error:
        streamed(server)
    assert "\n" not in str(error.value)


def test_one_that_sleeps_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Until it is there: a Service without pods refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = threading.Timer(1.0, lambda: HTTPServer(("127.0.0.1", port), Awake).handle_request())
    server.start()
    with endpoint.client(f"http://127.0.0.1:{port}") as client:
        assert endpoint.serving_model(client, "demo", asleep=30) == "m1"
    server.join()
    assert capsys.readouterr().err == f"endpoint http://127.0.0.1:{port} sleeps: waiting for it\n"


class Awake(BaseHTTPRequestHandler):
    """It serves m1."""

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        body = b'{"versions": ["m1"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
