"""Requests that nobody thought of, made from the server's own description of itself."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.serving.model.conftest import Server

CALLS = int(os.environ.get("MYNAH_TEST_CALLS", "300"))  # 5,000 for a release
ENDS = ("stop", "length")


@pytest.fixture(scope="module")
def schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_body_is_described(schema: Any) -> None:
    document = schema.raw_schema
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    bare = [path for path, post in posts.items() if "requestBody" not in post]
    assert [path for path in bare if not path.endswith(("/load", "/unload", "/index", ":explain"))] == []
    fields = posts["/openai/v1/completions"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"model", "prompt", "max_tokens", "seed", "stream_options", "logprobs"} <= set(fields)
    fields = posts["/openai/v1/chat/completions"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"model", "messages", "max_completion_tokens", "top_logprobs"} <= set(fields)
    assert "prompt" not in fields


@pytest.mark.slow
def test_no_request_is_answered_with_a_server_error(schema: Any, server: Server, tmp_path: Path) -> None:
    """But 501 for what no server of one model can do, in words."""
    operations = [one.ok() for one in schema.get_all_operations()]
    each = max(1, CALLS // len(operations))
    made = 0
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(
            max_examples=each,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def ask(case: Any) -> None:
            nonlocal made
            body = case.body
            if isinstance(body, dict):  # whatever it says, it must not write for minutes
                inner = body.get("parameters") if isinstance(body.get("parameters"), dict) else body
                inner["max_tokens"] = min(inner["max_tokens"], 4) if isinstance(inner.get("max_tokens"), int) else 4
            made += 1
            answer = case.call(timeout=60)
            if answer.status_code == 501:
                assert answer.json()["error"]
                return
            case.validate_response(answer, checks=[not_a_server_error])

        ask()
    assert made >= CALLS * 0.5  # some operations have few different requests
    assert server.is_ready()
