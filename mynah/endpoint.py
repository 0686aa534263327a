"""The client of a model server: which model it serves, and texts from it."""

import json
import random
import secrets
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from mynah.errors import MynahError
from mynah.retry_after import retry_after
from mynah.text import storable

if TYPE_CHECKING:
    from mynah.bot import Generate

ASK = 20  # samples per request, at most: what the server batches well
TIMEOUT = httpx.Timeout(10, read=300)  # seconds
SAMPLING = {
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
    "stop",
}  # fields that a request has too
EMPTY_ANSWERS = 3  # answers without a text, one after the other, until the endpoint is given up
BUSY = (429, 503)  # statuses of a server that may say when to come back
WAIT = 180.0  # seconds, all in all, for a server that is busy or still loads its model
PAUSE = 0.5  # seconds at least between two requests of one wait
UNTOLD = "unknown"  # the id of a model whose server tells none, such as KServe's with vLLM
AWAKE_WITHIN = 600.0  # seconds for a server that sleeps: KEDA sees that it is wanted, a pod starts and loads its model


@dataclass(frozen=True)
class Completion:
    """A text that follows the prompt, and what it was asked with."""

    text: str
    finished: bool
    """Whether the model ended it by itself."""
    seed: int
    """Of the request, which may have brought several texts."""
    sampling: dict[str, Any]


def client(endpoint: str, keys: Sequence[str] = (), timeout: httpx.Timeout = TIMEOUT, retries: int = 2) -> httpx.Client:
    """A client of the model server at `endpoint`, with the first of `keys`.

    `retries`: how often it tries again to connect.
    """
    headers = {"authorization": f"Bearer {keys[0]}"} if keys else {}
    transport = httpx.HTTPTransport(retries=retries) if retries else None
    return httpx.Client(base_url=endpoint, headers=headers, timeout=timeout, transport=transport)


def serving_model(client: httpx.Client, name: str, wait: float = 0, asleep: float = 0) -> str:
    """The id of the model that the endpoint serves under `name`; UNTOLD where the server tells none.

    `wait`: seconds for a server that says when to come back. `asleep`: seconds for one that is not there yet. Raises
    MynahError where it serves none.
    """
    try:
        response = _ask(client, "GET", f"/v2/models/{name}", None, wait, asleep)
        # KServe's own server of large models (vLLM) has no metadata: it errs, and closes the connection.
        if response.status_code == 500 and client.get(f"/v2/models/{name}/ready").is_success:
            return UNTOLD
    except httpx.TransportError as error:
        raise MynahError(
            f"endpoint {client.base_url} gives no answer ({error}): start it with `mynah serve {name}`, "
            "or name another with --endpoint"
        ) from None
    if response.status_code == 401:
        raise MynahError(f"endpoint {client.base_url} wants another key: set MYNAH_API_KEY to the server's")
    if response.status_code == 404:
        raise MynahError(f"endpoint {client.base_url} serves no model named {name}")
    if response.is_error:
        raise MynahError(f"endpoint {client.base_url} {_says(response)}")
    try:
        return str((response.json().get("versions") or [UNTOLD])[-1])
    except (ValueError, AttributeError, LookupError, TypeError):
        raise MynahError(f"endpoint {client.base_url} is no model server: it {_says(response)}") from None


def completions(
    client: httpx.Client, name: str, prompt: str, ask: "Generate", asleep: float = 0
) -> Iterator[Completion]:
    """`ask.samples` texts that follow `prompt`, as they come. `asleep`: seconds for a server that is not there.

    Raises MynahError where the endpoint breaks off, errs, or goes on answering without a text.
    """
    sampling = ask.model_dump(include=SAMPLING, exclude_none=True)
    missing, empty = ask.samples, 0
    while missing:
        # A seed per request, so that two requests of one prompt differ; drawn here where the bot file has none, so that
        # what was written can be written again.
        seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed + ask.samples - missing
        asked = {**sampling, "n": min(missing, ASK)}
        if isinstance(ask.temperature, tuple):  # by the seed, so that the request can be sent again
            asked["temperature"] = round(random.Random(seed).uniform(*ask.temperature), 3)  # noqa: S311
        try:
            # In a list, since vLLM refuses an empty prompt that is not.
            body = {"model": name, "prompt": [prompt], "seed": seed, **asked}
            response = _ask(client, "POST", "/openai/v1/completions", body, WAIT, asleep)
        except httpx.TransportError as error:
            raise MynahError(f"endpoint {client.base_url} broke off: {error or type(error).__name__}") from None
        if response.is_error:
            raise MynahError(f"endpoint {client.base_url} {_says(response)}")
        try:
            choices = [(c["text"], c.get("finish_reason")) for c in response.json()["choices"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise MynahError(f"endpoint {client.base_url} gives no completion: it {_says(response)}") from None
        texts = [(text, reason) for text, reason in choices if isinstance(text, str)][:missing]
        empty = 0 if texts else empty + 1
        if empty == EMPTY_ANSWERS:
            raise MynahError(
                f"endpoint {client.base_url} answers {EMPTY_ANSWERS} times without a text: look at its log"
            )
        for text, reason in texts:
            before, stop, _ = text.partition(ask.stop) if ask.stop else (text, "", "")  # not every server knows it
            yield Completion(storable(before), bool(stop) or reason == "stop", seed, asked)
        missing -= len(texts)


def stream(
    client: httpx.Client, name: str, prompt: str, ask: "Generate", asleep: float = 0
) -> Generator[tuple[int, str, str | None]]:
    """The same texts piece by piece, all at once: (which text, what is new of it, how it ended or None).

    Closing the iterator ends them at the server. Raises MynahError as `completions` does.
    """
    sampling = ask.model_dump(include=SAMPLING | {"seed"}, exclude={"stop"} if ask.stop is None else None)
    body = {"model": name, "prompt": [prompt], "n": ask.samples, "stream": True, **sampling}
    patience = _Patience(client, WAIT, asleep)
    while True:
        try:
            with client.stream("POST", "/openai/v1/completions", json=body) as response:
                if response.is_error:
                    response.read()
                    if patience.is_busy(response):
                        continue
                    raise MynahError(f"endpoint {client.base_url} {_says(response)}")
                yield from _pieces(client, response)
                return
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if not patience.sleeps():
                raise MynahError(f"endpoint {client.base_url} gives no answer ({error})") from None
        except httpx.TransportError as error:
            raise MynahError(f"endpoint {client.base_url} broke off: {error or type(error).__name__}") from None


def _pieces(client: httpx.Client, response: httpx.Response) -> Iterator[tuple[int, str, str | None]]:
    """What the server-sent events of an answer say."""
    for line in response.iter_lines():
        if not line.startswith("data:"):
            continue
        if line[5:].strip() == "[DONE]":
            return
        try:
            said = json.loads(line[5:])
            if "error" in said:
                raise MynahError(f"endpoint {client.base_url} broke off: {said['error']['message']}")
            choices = [(int(c.get("index", 0)), str(c["text"]), c.get("finish_reason")) for c in said["choices"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise MynahError(f"endpoint {client.base_url} gives no completion: it says {line[:200]}") from None
        for place, text, finish in choices:
            yield place, storable(text), finish
    # A proxy may cut a stream off as if it had ended.
    raise MynahError(f"endpoint {client.base_url} broke off: its stream has no end")


def _ask(
    client: httpx.Client, method: str, path: str, body: dict[str, Any] | None, wait: float, asleep: float
) -> httpx.Response:
    """The endpoint's answer.

    One that is busy and says when to come back is asked again within `wait` seconds; one that cannot be reached, within
    `asleep` seconds.
    """
    patience = _Patience(client, wait, asleep)
    while True:
        try:
            # A question apart, asked now and then: its connection is not kept for others.
            response = client.request(method, path, json=body, headers={} if body else {"connection": "close"})
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not patience.sleeps():
                raise
        else:
            if not patience.is_busy(response):
                return response


class _Patience:
    """How long an endpoint is waited for that is busy, or not there yet. Both methods wait a while and return True."""

    def __init__(self, client: httpx.Client, wait: float, asleep: float) -> None:
        self._client, self._wait = client, wait
        self._give_up = time.monotonic() + asleep
        self._told = False

    def is_busy(self, response: httpx.Response) -> bool:
        """Whether it says when to come back, and there is time for that."""
        said = retry_after(response) if response.status_code in BUSY else None
        if said is None or (pause := max(PAUSE, said)) > self._wait:
            return False
        print(
            f"endpoint {self._client.base_url} {_says(response)}; again in {pause:.0f} s", file=sys.stderr, flush=True
        )
        time.sleep(pause)
        self._wait -= pause
        return True

    def sleeps(self) -> bool:
        """Whether one that cannot be reached may still come."""
        if time.monotonic() >= self._give_up:
            return False
        if not self._told:
            print(f"endpoint {self._client.base_url} sleeps: waiting for it", file=sys.stderr, flush=True)
            self._told = True
        time.sleep(PAUSE)
        return True


def _says(response: httpx.Response) -> str:
    """An answer in one short line."""
    return f"answers {response.status_code}: {' '.join(response.text.split())[:200] or response.reason_phrase}"
