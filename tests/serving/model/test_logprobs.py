"""Tokens: prompts given as such, and told with their probabilities, through OpenAI's own client."""

import math
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model.details import Pieces
from tests.serving.model.conftest import GREEDY, NAME, Server, Validate


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(model_folder)


def ask(client: openai.OpenAI, **asked: Any) -> Any:
    (choice,) = client.completions.create(**{"model": NAME, **GREEDY, **asked}).choices
    return choice


def test_every_token_has_its_place_and_its_probability(client: openai.OpenAI) -> None:
    choice = ask(client, prompt="the early bird", logprobs=0)
    told = choice.logprobs
    *tokens, last = told.tokens
    assert ("".join(tokens), last) == (choice.text, "</s>") == (" catches the worm 🐛", "</s>")
    whole = "the early bird" + choice.text
    for place, (token, offset) in enumerate(zip(tokens, told.text_offset, strict=False)):
        assert whole[offset:].startswith(token), place
    assert told.text_offset[0] == len("the early bird")
    assert all(-1 < logprob <= 0 for logprob in told.token_logprobs)
    assert [{**one} for one in told.top_logprobs] == [
        {token: logprob} for token, logprob in zip(told.tokens, told.token_logprobs, strict=True)
    ]


def test_the_likeliest_tokens_are_told_beside(client: openai.OpenAI) -> None:
    told = ask(client, prompt="", logprobs=5, temperature=2.0, seed=3, max_tokens=12).logprobs
    for token, logprob, likeliest in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert likeliest[token] == logprob
        assert 5 <= len(likeliest) <= 6
        assert sum(map(math.exp, likeliest.values())) <= 1.001
        assert logprob <= max(likeliest.values())
    greedy = ask(client, prompt="", logprobs=1, max_tokens=12).logprobs
    assert all(len(likeliest) == 1 for likeliest in greedy.top_logprobs)  # the likeliest is the one that was written


@pytest.mark.parametrize("logprobs", [None, 0, 2])
@pytest.mark.parametrize("max_tokens", [0, 3])
def test_echo(client: openai.OpenAI, server: Server, max_tokens: int, logprobs: int | None) -> None:
    prompt = "still waters"
    body = {"model": NAME, "prompt": prompt, "echo": True, "max_tokens": max_tokens, "logprobs": logprobs, **GREEDY}
    answer = server.post("/openai/v1/completions", body).json()
    (choice,) = answer["choices"]
    rest = ask(client, prompt=prompt, max_tokens=3).text if max_tokens else ""
    assert choice["text"] == prompt + rest
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == max_tokens
    if logprobs is None:
        assert choice["logprobs"] is None
        return
    told = choice["logprobs"]
    assert len(told["tokens"]) == answer["usage"]["total_tokens"]
    assert (told["token_logprobs"][0], told["top_logprobs"][0], told["text_offset"][:2]) == (None, None, [0, 0])
    assert "".join(told["tokens"][1:]) == choice["text"]  # the first one is BOS
    assert all(logprob <= 0 for logprob in told["token_logprobs"][1:])


def test_a_prompt_scored_is_as_likely_as_when_it_was_written(client: openai.OpenAI) -> None:
    written = ask(client, prompt="a bird", logprobs=0).logprobs
    scored = ask(client, prompt="a bird in the hand is worth two in the bush", echo=True, max_tokens=0, logprobs=0)
    own = written.token_logprobs[:-1]
    assert scored.logprobs.token_logprobs[-len(own) :] == pytest.approx(own, abs=0.01)


def test_a_prompt_may_be_tokens(client: openai.OpenAI, tokenizer: Any) -> None:
    ids = [0, *tokenizer("the early bird", add_special_tokens=False).input_ids]
    assert ask(client, prompt=ids).text == " catches the worm 🐛"
    assert ask(client, prompt=ids, echo=True).text == "the early bird catches the worm 🐛"
    haste = [0, *tokenizer("haste", add_special_tokens=False).input_ids]
    both = client.completions.create(model=NAME, prompt=[ids, haste], **GREEDY)
    assert [choice.text for choice in both.choices] == [" catches the worm 🐛", " makes waste"]
    assert both.usage
    assert both.usage.prompt_tokens == len(ids) + len(haste)


def test_a_stream_tells_the_same(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "prompt": "the early", "logprobs": 2, "echo": True, **GREEDY}
    (whole,) = client.completions.create(**asked).choices
    text, tokens, logprobs, offsets = "", [], [], []
    for chunk in client.completions.create(**asked, stream=True):
        (choice,) = chunk.choices
        text += choice.text
        tokens += choice.logprobs.tokens
        logprobs += choice.logprobs.token_logprobs
        offsets += choice.logprobs.text_offset
    assert (text, tokens, offsets) == (whole.text, whole.logprobs.tokens, whole.logprobs.text_offset)
    assert logprobs[1:] == pytest.approx(whole.logprobs.token_logprobs[1:], abs=0.01)


def test_the_best_of_several_are_the_likeliest(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "prompt": ["", "a"], "temperature": 2.0, "seed": 5, "max_tokens": 9}
    every = client.completions.create(**asked, n=8, logprobs=0).choices
    best = client.completions.create(**asked, n=2, best_of=8)

    def likelihood(choice: Any) -> float:
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    wanted = [sorted(every[first : first + 8], key=likelihood, reverse=True)[:2] for first in (0, 8)]
    assert [choice.text for choice in best.choices] == [choice.text for two in wanted for choice in two]
    assert [choice.index for choice in best.choices] == [0, 1, 2, 3]
    assert best.choices[0].logprobs is None
    assert best.usage
    assert best.usage.completion_tokens == sum(len(choice.logprobs.tokens) for choice in every)  # all were written
    with pytest.raises(openai.BadRequestError, match="best_of: not with stream"):
        client.completions.create(**asked, best_of=3, stream=True)


def test_the_answer_is_as_the_specification_has_it(server: Server, validate: Validate) -> None:
    body = {"model": NAME, "prompt": "haste", "logprobs": 3, **GREEDY}
    validate(server.post("/openai/v1/completions", body).json(), "openai_openapi.yaml", "CreateCompletionResponse")


@given(st.text())
def test_pieces_make_the_text(text: str) -> None:
    """Of a tokenizer whose tokens are single bytes: a character may take four."""
    data = list(text.encode())

    def decode(ids: Any) -> str:
        return bytes(ids).decode(errors="replace")

    pieces = Pieces(decode, None)
    assert "".join(pieces.add(id) for id in data) == text
