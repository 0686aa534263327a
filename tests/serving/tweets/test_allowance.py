"""How much one address may ask: the real API behind real proxies' headers."""

import httpx
import pytest

from mynah.bot import Bot
from mynah.settings import Settings
from serving.tweets.allowance import Allowance, Spent, network
from tests.serving.tweets.conftest import replica


def test_new_prompts_are_counted_apart_from_known_ones(settings: Settings, bots: dict[str, Bot]) -> None:
    with replica(settings, bots, Allowance(0, 2)) as api:

        def ask(prompt: str) -> httpx.Response:
            return api.get("/tweets", params={"bot": "left", "prompt": prompt})

        assert [ask(prompt).status_code for prompt in ("one", "two", "three")] == [200, 200, 429]
        refused = ask("three")
        assert refused.json()["error"].startswith("2 new prompts a minute are the most: ask again in ")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [ask(prompt).status_code for prompt in ("one", "ONE", "two")] == [200, 200, 200]
        page = api.get("/play", params={"bot": "left", "prompt": "three"})
        assert "2 new prompts a minute are the most" in page.text


def test_requests_are_counted_by_the_address_that_a_trusted_proxy_names(
    settings: Settings, bots: dict[str, Bot]
) -> None:
    with replica(settings, bots, Allowance(2, 0), ["127.0.0.0/8"]) as api:

        def ask(forwarded: str) -> int:
            return api.get("/bots", headers={"x-forwarded-for": forwarded}).status_code

        assert [ask("192.0.2.1") for _ in range(3)] == [200, 200, 429]
        # What a client puts before it is not believed: the proxy adds the address that it saw at the end.
        assert ask("198.51.100.7, 192.0.2.1") == 429
        assert ask("192.0.2.2") == 200
        assert [ask(f"2001:db8::{one}") for one in range(3)] == [200, 200, 429]
        assert [api.get("/health/live").status_code for _ in range(3)] == [200, 200, 200]


def test_without_a_trusted_proxy_nobody_chooses_an_address(settings: Settings, bots: dict[str, Bot]) -> None:
    with replica(settings, bots, Allowance(2, 0)) as api:
        asked = [api.get("/bots", headers={"x-forwarded-for": f"192.0.2.{one}"}).status_code for one in range(3)]
        assert asked == [200, 200, 429]


def test_an_address_has_its_own_allowance() -> None:
    allowance = Allowance(1, 0)
    allowance.request("192.0.2.1")
    allowance.request("192.0.2.2")
    with pytest.raises(Spent, match="1 requests a minute are the most"):
        allowance.request("192.0.2.1")


def test_who_asks_for_themselves_spends_nothing() -> None:
    allowance = Allowance(0, 1)
    for _ in range(3):
        allowance.prompt()  # no request: `mynah prewarm`


def test_what_counts_as_one_address() -> None:
    assert network("192.0.2.1") == network("::ffff:192.0.2.1") == "192.0.2.1"
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("a-socket") == "a-socket"
