"""What Prometheus reads of a model server's requests."""

import json
import re

import yaml
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.model.metrics import CLIENT_GONE, Measured
from tests.conftest import REPO
from tests.serving.model.conftest import NAME, Server


def test_requests_are_counted_by_status_but_for_probes() -> None:
    def count(status: int) -> float:
        return REGISTRY.get_sample_value("mynah_requests_total", {"status": str(status)}) or 0

    async def broken(request: Request) -> Response:
        raise RuntimeError("broken")

    async def fine(request: Request) -> Response:
        return PlainTextResponse("fine")

    routes = [Route("/fine", fine), Route("/broken", broken), Route("/v2/health/ready", fine)]
    client = TestClient(Measured(Starlette(routes=routes)), raise_server_exceptions=False)
    before = {status: count(status) for status in (200, 404, 500)}
    client.get("/fine"), client.get("/v2/health/ready"), client.get("/nowhere"), client.get("/broken")
    assert {status: count(status) - before[status] for status in before} == {200: 1, 404: 1, 500: 1}


def test_clients_that_hang_up_page_nobody() -> None:
    groups = yaml.safe_load((REPO / "charts/mynah/files/alerts.yaml").read_text())["groups"]
    (rule,) = (rule for group in groups for rule in group["rules"] if rule["alert"] == "MynahErrorRate")
    (pages,) = re.findall(r'status=~"(.*?)"', rule["expr"])
    assert re.fullmatch(pages, "500")
    assert not re.fullmatch(pages, str(CLIENT_GONE))


def test_texts_are_measured_under_vllms_names(server: Server) -> None:
    """One that ends by itself, and one that is cut off."""

    def value(name: str, **labels: str) -> float:
        given = {"model_name": NAME, **labels}
        return server.metric(f"{name}{{{','.join(f'{key}={json.dumps(one)}' for key, one in sorted(given.items()))}}}")

    def counted() -> dict[str, float]:
        names = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:e2e_request_latency_seconds_sum")
        names += ("vllm:time_to_first_token_seconds_count", "vllm:time_to_first_token_seconds_sum")
        names += ("vllm:request_time_per_output_token_seconds_count", "vllm:e2e_request_latency_seconds_count")
        ended = {how: value("vllm:request_success_total", finished_reason=how) for how in ("stop", "length")}
        return {name: value(name) for name in names} | ended

    before = counted()
    body = {"model": NAME, "temperature": 0}
    answers = [
        server.post("/openai/v1/completions", {**body, "prompt": prompt, "max_tokens": most}).json()["usage"]
        for prompt, most in (("haste", 60), ("tick", 20))
    ]
    server.wait_until(lambda: server.running() == 0)
    new = {name: after - before[name] for name, after in counted().items()}
    assert new["vllm:prompt_tokens_total"] == sum(usage["prompt_tokens"] for usage in answers)
    assert new["vllm:generation_tokens_total"] == sum(usage["completion_tokens"] for usage in answers)
    assert (new["stop"], new["length"]) == (1, 1)
    assert new["vllm:time_to_first_token_seconds_count"] == new["vllm:e2e_request_latency_seconds_count"] == 2
    assert new["vllm:request_time_per_output_token_seconds_count"] == 2
    assert 0 < new["vllm:time_to_first_token_seconds_sum"] < new["vllm:e2e_request_latency_seconds_sum"]
    assert value("vllm:kv_cache_usage_perc") == 0
