"""Requests that nobody thought of, made from the API's own description of itself."""

import os

import httpx
import hypothesis
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.scripted import Server
from tests.serving.tweets.conftest import answer, said

CALLS = int(os.environ.get("MYNAH_TEST_CALLS", "200"))  # 5,000 for a release


def test_no_request_is_answered_with_a_server_error(api: httpx.Client, model: Server) -> None:
    """But 503 for a bot that has no model, in words."""
    model.script = [lambda body: said([" is a fine thing to have."]) if "prompt" in body else answer(body)]
    schema = schemathesis.openapi.from_url(f"{api.base_url}/openapi.json")
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) >= 8
    made = 0
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(
            max_examples=max(1, CALLS // len(operations)),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            nonlocal made
            made += 1
            if isinstance(case.query, dict) and "wait" in case.query:
                case.query["wait"] = 0
            found = case.call(timeout=60)
            if found.status_code == 503:
                assert found.json()["error"] == "right has no model yet: promote one"
                return
            assert found.status_code != 500
            case.validate_response(found, checks=[not_a_server_error])

        ask()
    assert made >= min(CALLS, 20)
