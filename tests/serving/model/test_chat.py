"""OpenAI's chat, through OpenAI's own client."""

import json
from typing import Any

import openai
import pytest

from tests.serving.model.conftest import CONTEXT, GREEDY, MODEL_ID, NAME, Server, Validate

CHAT = "/openai/v1/chat/completions"
EARLY: list[Any] = [{"role": "user", "content": "the early bird"}]
HASTE: list[Any] = [{"role": "user", "content": "haste"}]


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="none", max_retries=0)


def test_chat(client: openai.OpenAI, server: Server) -> None:
    completion = client.chat.completions.create(model=NAME, messages=EARLY, **GREEDY)
    (choice,) = completion.choices
    assert (choice.message.role, choice.message.content) == ("assistant", " catches the worm 🐛")
    assert (choice.finish_reason, choice.logprobs) == ("stop", None)
    assert (completion.object, completion.model, completion.system_fingerprint) == ("chat.completion", NAME, MODEL_ID)
    plain = client.completions.create(model=NAME, prompt="the early bird", **GREEDY)
    assert completion.usage
    assert plain.usage
    assert completion.usage.to_dict() == plain.usage.to_dict()  # the template's BOS is the only one
    assert not server.imported.exists(), server.imported.read_text()


def test_what_was_said_is_gone_on_from(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "system", "content": "Go on."}, *HASTE]
    answer = client.chat.completions.create(model=NAME, messages=messages[1:], **GREEDY).choices[0].message
    assert answer.content == " makes waste"
    messages += [answer, {"role": "user", "content": "still"}]  # as the client has it, with much that is null
    completion = client.chat.completions.create(model=NAME, messages=messages[1:], **GREEDY)
    assert completion.choices[0].message.content == " waters run deep"
    longer = client.chat.completions.create(model=NAME, messages=messages, max_tokens=1)
    assert longer.usage
    assert completion.usage
    assert longer.usage.prompt_tokens > completion.usage.prompt_tokens


def test_parts_of_a_message_are_lines(client: openai.OpenAI) -> None:
    def asked(content: Any) -> int:
        messages: list[Any] = [{"role": "user", "content": content, "name": "somebody"}]
        completion = client.chat.completions.create(model=NAME, messages=messages, max_tokens=1, **GREEDY)
        assert completion.usage
        return completion.usage.prompt_tokens

    parts = [{"type": "text", "text": "the"}, {"type": "text", "text": "bird"}]
    assert asked(parts) == asked("the\nbird") == asked("thebird") + 1
    assert asked(parts[:1]) == asked("the")


def test_a_stream_says_who_speaks_then_what_then_why_it_ends(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=NAME, messages=EARLY, n=2, stream=True, stream_options={"include_usage": True}, **GREEDY
    )
    *chunks, last = list(stream)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in (*chunks, last)}) == 1
    for index in range(2):
        first, *others = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert (first.delta.role, first.delta.content) == ("assistant", "")
        assert "".join(one.delta.content or "" for one in others) == " catches the worm 🐛"
        assert len([one for one in others if one.delta.content]) > 3
        assert [one.finish_reason for one in (first, *others)] == [None] * len(others) + ["stop"]
    whole = client.chat.completions.create(model=NAME, messages=EARLY, n=2, **GREEDY)
    assert last.choices == []
    assert last.usage == whole.usage


def test_a_stream_ends_as_the_specification_has_it(server: Server) -> None:
    answer = server.post(CHAT, {"model": NAME, "messages": HASTE, "stream": True, **GREEDY})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")


def test_texts_are_as_many_and_differ(client: openai.OpenAI) -> None:
    def texts(seed: int) -> list[str | None]:
        completion = client.chat.completions.create(
            model=NAME, messages=EARLY, n=8, max_tokens=8, seed=seed, temperature=2.0
        )
        assert [choice.index for choice in completion.choices] == list(range(8))
        return [choice.message.content for choice in completion.choices]

    assert len(set(texts(7))) > 1
    assert texts(7) == texts(7) != texts(8)


@pytest.mark.parametrize("limit", [{"max_tokens": 3}, {"max_completion_tokens": 3}])
def test_max_tokens_has_two_names(client: openai.OpenAI, limit: Any) -> None:
    completion = client.chat.completions.create(model=NAME, messages=EARLY, **limit, **GREEDY)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage
    assert completion.usage.completion_tokens == 3


def test_a_text_is_as_long_as_the_bots_unless_asked_otherwise(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "tick"}]
    completion = client.chat.completions.create(model=NAME, messages=messages, stop="never", **GREEDY)
    assert completion.usage
    assert completion.usage.completion_tokens == 40
    stopped = client.chat.completions.create(model=NAME, messages=messages, stop=[" tick"], **GREEDY)
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == (" tock", "stop")


def test_tokens_are_told_with_their_probabilities(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "messages": EARLY, "logprobs": True, **GREEDY}
    (choice,) = client.chat.completions.create(**asked, top_logprobs=3).choices
    assert choice.logprobs
    told = choice.logprobs.content
    assert told
    *tokens, last = told
    assert "".join(token.token for token in tokens) == choice.message.content == " catches the worm 🐛"
    assert bytes(one for token in tokens for one in token.bytes or ()).decode() == choice.message.content
    assert (last.token, last.bytes) == ("</s>", None)  # it adds nothing
    for token in told:
        assert -1 < token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].to_dict() == {
            key: value for key, value in token.to_dict().items() if key != "top_logprobs"
        }
        named = [one for one in token.top_logprobs if one.token.startswith("token_id:")]
        assert all(one.bytes is None for one in named)
    plain = client.completions.create(model=NAME, prompt="the early bird", logprobs=0, **GREEDY).choices[0].logprobs
    assert plain
    assert [token.logprob for token in told] == pytest.approx(plain.token_logprobs, abs=0.01)

    streamed = []
    for chunk in client.chat.completions.create(**asked, stream=True):
        if logprobs := chunk.choices[0].logprobs:
            streamed += logprobs.content or []
    assert [token.token for token in streamed] == [token.token for token in told]
    assert all(token.top_logprobs == [] for token in streamed)


def test_answers_are_as_the_specification_has_them(server: Server, validate: Validate) -> None:
    body = {"model": NAME, "messages": HASTE, "logprobs": True, "top_logprobs": 2, **GREEDY}
    validate(server.post(CHAT, body).json(), "openai_openapi.yaml", "CreateChatCompletionResponse")
    lines = server.post(CHAT, {"model": NAME, "messages": HASTE, "stream": True, **GREEDY}).text.splitlines()
    for line in filter(None, lines[:-2]):
        chunk = json.loads(line.removeprefix("data: "))
        (choice,) = chunk["choices"]
        assert choice.pop("logprobs") is None  # two fields may be null, in a way that jsonschema does not read
        choice["finish_reason"] = choice["finish_reason"] or "stop"
        validate(chunk, "openai_openapi.yaml", "CreateChatCompletionStreamResponse")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("messages", None, "messages: field required"),
        ("messages", [], "messages: a list of 1 to 10,000 messages is needed"),
        ("messages", "Hello", "messages: a list of 1 to 10,000 messages is needed"),
        ("messages", ["Hello"], "messages: message 1 is not an object with a role and a content"),
        (
            "messages",
            [*HASTE, {"role": "tool", "content": "a", "tool_call_id": "1"}],
            "messages: the role of message 2 must be system, user or assistant, not tool",
        ),
        ("messages", [{"role": ["user"], "content": ""}], "messages: the role of message 1 must be"),
        ("messages", [{"role": "user"}], "messages: the content of message 1 must be a string, or a list of parts"),
        ("messages", [{"role": "user", "content": []}], "messages: the content of message 1 must be a string"),
        (
            "messages",
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}],
            "messages: message 1 has a part of the type image_url, and this server reads text alone",
        ),
        (
            "messages",
            [{"role": "user", "content": [{"type": "text", "text": 1}]}],
            "messages: message 1 has a part of the type text, whose text is not a string",
        ),
        ("messages", [{"role": "user", "content": "", "name": 1}], "messages: the name in message 1 is not a string"),
        (
            "messages",
            [{"role": "assistant", "content": "", "tool_calls": [{}]}],
            "messages: message 1 has tool_calls, and this server cannot do that; leave it out",
        ),
        ("messages", [*HASTE, {"role": "user", "content": "a" * 999_999}], "messages: at most 1,000,000 characters"),
        ("messages", [{"role": "user", "content": "tick " * 4000}], f"the model's context is {CONTEXT}"),
        (
            "messages",
            [*HASTE, {"role": "system", "content": "{0} {message}"}],
            "messages: the chat template says: the system speaks first",
        ),
        ("max_completion_tokens", 0, "max_completion_tokens: must be at least 1 and at most"),
        ("max_completion_tokens", 5, "max_completion_tokens: max_tokens means the same, and is 4, not 5"),
        ("top_logprobs", 2, "top_logprobs: only with logprobs, which is not true"),
        ("top_logprobs", 21, "top_logprobs: must be at least 0 and at most 20, not 21"),
        ("logprobs", 2, "logprobs: input should be a valid boolean"),
        ("tools", [{"type": "function", "function": {"name": "f"}}], "tools: this server cannot do that; leave it out"),
        ("tool_choice", "required", "tool_choice: this server cannot do that"),
        ("response_format", {"type": "json_object"}, "response_format: this server cannot do that"),
        ("logit_bias", {"5": 1}, "logit_bias: this server cannot do that"),
        ("functions", [{"name": "f"}], "functions: this server cannot do that"),
        ("audio", {"voice": "ash", "format": "wav"}, "audio: this server cannot do that"),
        ("modalities", ["text", "audio"], "modalities: this server cannot do that"),
        ("prompt", "haste", "prompt: unknown field; known: "),
        ("message", HASTE, "message: unknown field; did you mean messages?"),
        ("model", None, f"model: a string is needed, one of {NAME}"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_field_is_named(server: Server, field: str, value: Any, message: str, stream: bool) -> None:
    body = {"model": NAME, "messages": HASTE, "max_tokens": 4, "stream": stream, field: value}
    response = server.post(CHAT, body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert message in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", error["message"].split(":")[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [], "tool_choice": "none", "parallel_tool_calls": True},
        {"response_format": {"type": "text"}, "modalities": ["text"], "logit_bias": {}},
        {"user": "someone", "store": False, "service_tier": "auto", "metadata": None, "functions": None},
        {"max_tokens": 40, "max_completion_tokens": 40, "top_logprobs": None},
    ],
)
def test_fields_that_change_nothing_are_taken(server: Server, fields: dict[str, Any]) -> None:
    answer = server.post(CHAT, {"model": NAME, "messages": HASTE, **GREEDY, **fields}).json()
    assert answer["choices"][0]["message"]["content"] == " makes waste"
