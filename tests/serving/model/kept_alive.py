"""Clients that keep a connection alive and ask on it, at random moments, until the server tells them to leave it."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import openai
import requests

PATH = "/openai/v1/completions"
Headers = Callable[[], "httpx.Headers | requests.structures.CaseInsensitiveDict[str]"]


def with_httpx(url: str, body: dict[str, object]) -> Headers:
    client = httpx.Client(timeout=60)
    return lambda: client.post(url + PATH, json=body).headers


def with_requests(url: str, body: dict[str, object]) -> Headers:
    session = requests.Session()
    return lambda: session.post(url + PATH, json=body, timeout=60).headers


def with_openai(url: str, body: dict[str, object]) -> Headers:
    client = openai.OpenAI(base_url=f"{url}/openai/v1", api_key="none", max_retries=0, timeout=60)

    def ask() -> httpx.Headers:
        try:
            return client.completions.with_raw_response.create(**body).headers  # type: ignore[arg-type]
        except openai.APIStatusError as error:  # an answer too
            return error.response.headers

    return ask


@dataclass
class Clients:
    """Threads that ask; what they got."""

    answered: int = 0
    left: int = 0
    """Clients that were told to leave, by an answer."""
    lost: list[str] = field(default_factory=list)
    """Requests that got no answer, and why."""
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, url: str, body: dict[str, object], pauses: list[float]) -> None:
        """One client of each kind per pause: the most seconds that it waits between two requests."""
        asking = [kind(url, body) for _ in pauses for kind in (with_httpx, with_requests, with_openai)]
        connected = threading.Barrier(len(asking) + 1)
        lock = threading.Lock()
        end = threading.Event()  # never set: for its wait

        def work(ask: Headers, pause: float) -> None:
            ask()  # opens the connection
            connected.wait(60)
            while True:
                end.wait(random.uniform(0, pause))
                try:
                    headers = ask()
                except (httpx.HTTPError, requests.RequestException, openai.OpenAIError) as error:
                    with lock:
                        self.lost.append(repr(error))
                    return
                with lock:
                    self.answered += 1
                    if headers.get("connection") == "close":
                        self.left += 1
                        return

        for place, ask in enumerate(asking):
            thread = threading.Thread(target=work, args=(ask, pauses[place // 3]), daemon=True)
            thread.start()
            self.threads.append(thread)
        connected.wait(60)

    def join(self) -> None:
        for thread in self.threads:
            thread.join()
