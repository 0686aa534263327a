"""What a cluster's pods answer beside the model: before a first model, and to Prometheus."""

from prometheus_client import REGISTRY, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from mynah import database
from serving.empty import application
from serving.measure import Measured
from serving.stock import Stock


def test_a_bot_without_a_model_is_ready_and_says_what_to_do() -> None:
    client = TestClient(application("demo"))
    assert client.get("/v2/health/ready").status_code == 200
    for answer in (client.get("/v2/models/demo"), client.post("/v1/models/demo:predict", json={})):
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("demo has no model yet: `mynah train demo")
    error = client.post("/openai/v1/completions", json={}).json()["error"]
    assert error["message"].startswith("demo has no model yet")


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


def test_prometheus_reads_the_stock_from_postgres(database_url: str, connection: database.Connection) -> None:
    database.add_tweets(connection, "demo", [database.NewTweet("one"), database.NewTweet("two", state="approved")])
    metrics = generate_latest(Stock(database_url, ["demo"])).decode()
    assert 'mynah_tweets{bot="demo",state="approved"} 1.0' in metrics
    assert 'mynah_tweets{bot="demo",state="posted"} 0.0' in metrics
    assert "mynah_last_post_timestamp_seconds{" not in metrics
    tweet = database.claim(connection, "demo")
    assert tweet
    database.record_post(connection, tweet.id, "7", "https://x.com/i/web/status/7")
    assert 'mynah_last_post_timestamp_seconds{bot="demo"}' in generate_latest(Stock(database_url, ["demo"])).decode()
