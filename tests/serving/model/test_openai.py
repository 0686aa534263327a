"""OpenAI's routes, through OpenAI's own client."""

import json
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.model.conftest import CONTEXT, CREATED, GREEDY, MODEL_ID, NAME, SAYINGS, Server, Validate


@pytest.fixture(scope="session")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="none", max_retries=0)


def test_completion(client: openai.OpenAI, server: Server, validate: Validate) -> None:
    completion = client.completions.create(model=NAME, prompt="the early bird", **GREEDY)
    (choice,) = completion.choices
    assert choice.text == " catches the worm 🐛"
    assert choice.finish_reason == "stop"
    assert completion.system_fingerprint == MODEL_ID
    usage = completion.usage
    assert usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens > 1
    body = {"model": NAME, "prompt": "haste", **GREEDY}
    validate(server.post("/openai/v1/completions", body).json(), "openai_openapi.yaml", "CreateCompletionResponse")


@pytest.mark.parametrize("body", [{"prompt": ""}, {}, {"prompt": None}])
def test_an_empty_prompt_begins_a_text(server: Server, body: dict[str, Any]) -> None:
    answer = server.post("/openai/v1/completions", {"model": NAME, **GREEDY, **body}).json()
    assert answer["choices"][0]["text"] in SAYINGS
    assert answer["usage"]["prompt_tokens"] == 1  # BOS


def test_stream(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model=NAME, prompt="the early", stream=True, stream_options={"include_usage": True}, **GREEDY
    )
    *chunks, last = list(stream)
    texts = [chunk.choices[0].text for chunk in chunks]
    assert "".join(texts) == " bird catches the worm 🐛"
    assert len([text for text in texts if text]) > 3
    assert not any("\ufffd" in text for text in texts)
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert last.choices == []
    assert last.usage
    assert last.usage.completion_tokens > 3


def test_n_texts_of_several_prompts_come_in_order(client: openai.OpenAI, server: Server) -> None:
    completion = client.completions.create(model=NAME, prompt=["haste", "still", "no"], n=2, **GREEDY)
    assert [choice.index for choice in completion.choices] == list(range(6))
    rests = [" makes waste", " waters run deep", " news is good news"]
    assert [choice.text for choice in completion.choices] == [rest for rest in rests for _ in range(2)]
    single = sum(
        server.post("/openai/v1/completions", {"model": NAME, "prompt": prompt}).json()["usage"]["prompt_tokens"]
        for prompt in ("haste", "still", "no")
    )
    assert completion.usage
    assert completion.usage.prompt_tokens == single  # a prompt counts once, however many texts follow it


def test_streamed_texts_are_told_apart_by_index(client: openai.OpenAI) -> None:
    texts = ["", "", "", ""]
    for chunk in client.completions.create(model=NAME, prompt=["haste", "many"], n=2, stream=True, **GREEDY):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [" makes waste"] * 2 + [" hands make light work"] * 2


def test_samples_differ_and_a_seed_repeats_them(client: openai.OpenAI) -> None:
    def texts(seed: int | None) -> list[str]:
        completion = client.completions.create(model=NAME, prompt="", n=12, seed=seed, temperature=1.5)
        return [choice.text for choice in completion.choices]

    first = texts(7)
    assert len(set(first)) > 1
    assert texts(7) == first
    assert texts(8) != first
    assert texts(8)[:-1] != first[1:]  # the seeds of two requests do not overlap
    assert texts(None) != texts(None)


def test_max_tokens(client: openai.OpenAI) -> None:
    completion = client.completions.create(model=NAME, prompt="tick", max_tokens=7, **GREEDY)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage
    assert completion.usage.completion_tokens == 7


def test_max_tokens_ends_with_the_context(client: openai.OpenAI) -> None:
    prompt = "tick tock " * 100
    completion = client.completions.create(model=NAME, prompt=prompt, max_tokens=100_000, **GREEDY)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage
    assert completion.usage.total_tokens == CONTEXT


@pytest.mark.parametrize("stream", [False, True])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), min_size=1, max_size=3))
def test_a_text_ends_before_a_stop_string(client: openai.OpenAI, stream: bool, places: list[tuple[int, int]]) -> None:
    rest = SAYINGS[1].removeprefix("a bird")
    stops = [rest[begin : begin + length] for begin, length in places]
    asked: dict[str, Any] = {"model": NAME, "prompt": "a bird", "stop": stops, **GREEDY}
    if stream:
        text = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
    else:
        (choice,) = client.completions.create(**asked).choices
        assert choice.finish_reason == "stop"
        text = choice.text
    assert text in [rest[: rest.find(stop)] for stop in stops]
    assert not any(stop in text for stop in stops)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", 3, "temperature: must be at least 0 and at most 2, not 3"),
        ("top_p", -0.1, "top_p: must be at least 0 and at most 1, not -0.1"),
        ("repetition_penalty", 0, "repetition_penalty: must be above 0 and at most 2, not 0"),
        ("max_tokens", 0, "max_tokens: must be at least 1, or 0 with echo"),
        ("max_tokens", -1, "max_tokens: must be at least 0"),
        ("n", 129, "n: must be at least 1 and at most 128, not 129"),
        ("top_k", "many", "top_k: input should be a valid integer"),
        ("stop", [""], "stop: "),
        ("prompt", [], "prompt: a text, its tokens, or a list of 1 to 1024 of them is needed"),
        ("prompt", 5, "prompt: a text, its tokens, or a list"),
        ("prompt", [1, -1], "prompt: a text, or a list of one token or more, is needed for each"),
        ("prompt", [[1], []], "prompt: a text, or a list of one token or more, is needed for each"),
        ("prompt", [[1, True]], "prompt: a text, or a list of one token"),
        ("prompt", [1, 300], "prompt: there is no token 300; the last of this model is 299"),
        ("temprature", 1, "temprature: unknown field; did you mean temperature?"),
        ("echo", 1, "echo: input should be a valid boolean"),
        ("logprobs", 21, "logprobs: must be at least 0 and at most 20, not 21"),
        ("best_of", 1, "best_of: must be at least n, which is 2, not 1"),
        ("best_of", 129, "best_of: must be at least 1 and at most 128, not 129"),
        ("logit_bias", {"5": 1}, "logit_bias: this server cannot do that"),
        ("prompt", "tick tock " * 2000, f"the model's context is {CONTEXT}"),
        ("prompt", [""] * 1000, "n: this request asks for 2000 texts"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_field_is_named(
    client: openai.OpenAI, validate: Validate, field: str, value: Any, message: str, stream: bool
) -> None:
    body = {"prompt": "haste", "n": 2} | {field: value}
    prompt = body.pop("prompt")
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(model=NAME, prompt=prompt, stream=stream, extra_body=body)
    answer = error.value.response.json()
    assert message in answer["error"]["message"]
    assert answer["error"]["param"] == message.split(":")[0] if ":" in message else "prompt"
    assert answer["error"]["type"] == "invalid_request_error"
    validate(answer, "openai_openapi.yaml", "ErrorResponse")


@pytest.mark.parametrize(("field", "value"), [("echo", False), ("best_of", 1), ("suffix", None), ("user", "someone")])
def test_fields_that_change_nothing_are_taken(server: Server, field: str, value: Any) -> None:
    body = {"model": NAME, "prompt": "haste", field: value, **GREEDY}
    assert server.post("/openai/v1/completions", body).json()["choices"][0]["text"] == " makes waste"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"prompt": "\xff"}'])
def test_a_body_that_is_not_json(server: Server, validate: Validate, body: bytes) -> None:
    response = httpx.post(f"{server.url}/openai/v1/completions", content=body)
    assert response.status_code == 400
    assert "JSON" in response.json()["error"]["message"]
    validate(response.json(), "openai_openapi.yaml", "ErrorResponse")


def test_another_content_type(server: Server, validate: Validate) -> None:
    body = json.dumps({"model": NAME}).encode()
    response = httpx.post(f"{server.url}/openai/v1/completions", content=body, headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert response.json()["error"]["message"].startswith("content-type: text/plain")
    validate(response.json(), "openai_openapi.yaml", "ErrorResponse")


def test_stream_options_without_stream(client: openai.OpenAI, server: Server) -> None:
    with pytest.raises(openai.BadRequestError, match="stream_options: only with stream") as error:
        client.completions.create(model=NAME, prompt="haste", extra_body={"stream_options": {"include_usage": True}})
    assert error.value.param == "stream_options"
    body = {"model": NAME, "prompt": "haste", "stream_options": None, **GREEDY}
    assert server.post("/openai/v1/completions", body).is_success


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": 1}])
def test_the_model_must_be_named(server: Server, body: dict[str, Any]) -> None:
    response = server.post("/openai/v1/completions", body)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == f"model: a string is needed, one of {NAME}"


def test_a_route_that_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="POST /openai/v1/embeddings: not found") as error:
        client.embeddings.create(model=NAME, input="a")
    assert error.value.type == "invalid_request_error"


def test_models(client: openai.OpenAI, server: Server, validate: Validate) -> None:
    (model,) = client.models.list()
    assert (model.id, model.created) == (NAME, CREATED)
    assert client.models.retrieve(NAME).id == NAME
    validate(httpx.get(f"{server.url}/openai/v1/models").json(), "openai_openapi.yaml", "ListModelsResponse")


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=f"no model owl here; this server has {NAME}") as error:
        client.completions.create(model="owl", prompt="")
    assert error.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("owl")
