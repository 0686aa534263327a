"""What Prometheus reads of a model server's requests."""

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
