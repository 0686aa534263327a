"""The client of a model server: which model it serves, and texts from it."""

from typing import Any

import httpx

from mynah.bot import Generate
from mynah.errors import MynahError

ASK = 20  # samples per request, at most: what the server batches well
TIMEOUT = httpx.Timeout(10, read=300)  # seconds
EMPTY_ANSWERS = 3  # answers without a text, one after the other, until the endpoint is given up


def client(endpoint: str) -> httpx.Client:
    """A client of the model server at `endpoint`."""
    return httpx.Client(base_url=endpoint, timeout=TIMEOUT, transport=httpx.HTTPTransport(retries=2))


def serving_model(client: httpx.Client, name: str) -> str:
    """The id of the model that the endpoint serves under `name`. Raises MynahError where it serves none."""
    try:
        response = client.get(f"/v2/models/{name}")
    except httpx.TransportError as error:
        raise MynahError(
            f"endpoint {client.base_url} gives no answer ({error}): start it with `mynah serve {name}`, "
            "or name another with --endpoint"
        ) from None
    if response.status_code == 404:
        raise MynahError(f"endpoint {client.base_url} serves no model named {name}")
    if response.is_error:
        raise MynahError(f"endpoint {client.base_url} answers {response.status_code}: {response.text[:200]}")
    return str((response.json().get("versions") or ["unknown"])[-1])


def completions(client: httpx.Client, name: str, prompt: str, ask: Generate) -> list[dict[str, Any]]:
    """`ask.samples` texts that follow `prompt`, as OpenAI's choices: each has `text` and `finish_reason`.

    Raises MynahError where the endpoint breaks off, errs, or goes on answering without a text.
    """
    choices: list[dict[str, Any]] = []
    empty = 0
    while (missing := ask.samples - len(choices)) > 0:
        body = {
            "model": name,
            "prompt": prompt,
            "n": min(missing, ASK),
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "top_k": ask.top_k,
            "repetition_penalty": ask.repetition_penalty,
        }
        if ask.seed is not None:  # a seed per request, so that two requests of one prompt differ
            body["seed"] = ask.seed + len(choices)
        try:
            response = client.post("/openai/v1/completions", json=body)
        except httpx.TransportError as error:
            raise MynahError(f"endpoint {client.base_url} broke off: {error or type(error).__name__}") from None
        if response.is_error:
            raise MynahError(f"endpoint {client.base_url} answers {response.status_code}: {response.text[:200]}")
        try:
            new = [{"text": str(c["text"]), "finish_reason": c["finish_reason"]} for c in response.json()["choices"]]
        except (ValueError, LookupError, TypeError):
            raise MynahError(f"endpoint {client.base_url} answers with no completion: {response.text[:200]}") from None
        empty = 0 if new else empty + 1
        if empty == EMPTY_ANSWERS:
            raise MynahError(
                f"endpoint {client.base_url} answers {EMPTY_ANSWERS} times without a text: look at its log"
            )
        choices.extend(new[:missing])
    return choices
