"""What Prometheus reads: of HTTP, how many requests ended with which status, and how long they took; and of texts.

Those of texts have vLLM's names and meanings, so that its dashboards and scaling rules fit. What vLLM calls a request
is one text here. https://docs.vllm.ai/en/latest/usage/metrics.html
"""

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("mynah_requests", "requests answered, by status; 499: the client hung up first", ["status"])
SECONDS = Histogram(
    "mynah_request_seconds",
    "seconds from a request to the whole of its answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
_MODEL = ["model_name"]
RUNNING = Gauge("vllm:num_requests_running", "texts that are being written", _MODEL)
WAITING = Gauge("vllm:num_requests_waiting", "texts that wait for their turn", _MODEL)
CACHE_USAGE = Gauge("vllm:kv_cache_usage_perc", "part of the key-value cache that is full, from 0 to 1", _MODEL)
PROMPT_TOKENS = Counter("vllm:prompt_tokens", "tokens of prompts that were read", _MODEL)
TOKENS = Counter("vllm:generation_tokens", "tokens that were written, those of cancelled texts too", _MODEL)
ENDED = Counter("vllm:request_success", "texts that ended, by how: stop, length or abort", [*_MODEL, "finished_reason"])
FIRST_TOKEN = Histogram(
    "vllm:time_to_first_token_seconds",
    "seconds until a text has its first token",
    _MODEL,
    buckets=(0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80),
)
EACH_TOKEN = Histogram(
    "vllm:request_time_per_output_token_seconds",
    "seconds per token after the first, on average over a text",
    _MODEL,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5),
)
WHOLE_TEXT = Histogram(
    "vllm:e2e_request_latency_seconds",
    "seconds until a text has ended",
    _MODEL,
    buckets=(0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480),
)
LOADED = Gauge("mynah_models_loaded", "models in memory, of a server of many bots")
LOADS = Histogram(
    "mynah_model_load_seconds",
    "seconds until a model of a server of many bots could answer, the wait for room with it",
    buckets=(0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 40, 80),
)
UNMEASURED = ("/metrics", "/v2/health/", "/docs", "/openapi")  # probes and scrapes would drown the rest
CLIENT_GONE = 499  # nginx's number: the client hung up before its answer was whole, and the server is not at fault


class Measured:
    """ASGI middleware. It must be outside of CancelOnDisconnect, which is the one that listens for a hang-up."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNMEASURED):
            await self.app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500  # of an application that raises before it answers
        whole = gone = False

        async def watched_send(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                whole = not message.get("more_body", False)
            await send(message)

        async def watched_receive() -> Message:
            nonlocal gone
            message = await receive()
            if message["type"] == "http.disconnect" and not whole:
                gone = True
            return message

        try:
            await self.app(scope, watched_receive, watched_send)
        finally:
            REQUESTS.labels(CLIENT_GONE if gone else status).inc()
            SECONDS.observe(time.monotonic() - begin)
