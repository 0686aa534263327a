"""The engine by itself."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from serving.model.engine import RESTARTS, Completion, Engine
from serving.model.errors import RequestError
from serving.model.process import Batch
from serving.model.sampling import Sampling
from tests.thread import in_thread

T = TypeVar("T")


@pytest.fixture
def folder(untrained: Path) -> Path:
    """The OpenVINO folder of an untrained model."""
    return untrained / "openvino"


def with_engine(folder: Path, question: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        settled = asyncio.Event()
        engine = Engine("bird", folder, 256)
        try:
            engine.attach(settled.set, settled.set)
            await settled.wait()
            return await question(engine)
        finally:
            engine.stop()

    return asyncio.run(main())


def test_texts_follow_their_prompt_with_the_space_between(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder.parent)
    prompts = ["", "a bird", "the early bird catches"]
    samples = Sampling(max_tokens=30, n=4, temperature=2).samples(prompts, logprobs=0)

    async def question(engine: Engine) -> list[Completion]:
        return await engine.complete(samples)

    for sample, completion in zip(samples, with_engine(folder, question), strict=True):
        ids = [token.id for token in completion.details]
        assert completion.tokens == len(ids)
        asked = tokenizer(sample.prompt, add_special_tokens=False).input_ids
        assert completion.prompt_tokens == max(1, len(asked))  # nothing asked: BOS
        assert sample.prompt + completion.text == tokenizer.decode(asked + ids, skip_special_tokens=True)


def test_texts_join_and_leave_while_others_run(folder: Path) -> None:
    async def question(engine: Engine) -> None:
        def long(n: int) -> Any:
            return engine.generate(Sampling(max_tokens=200, temperature=0, n=n).samples(["a bird"], stream=True))

        async with contextlib.aclosing(long(2)) as first:
            fresh = await anext(first)
            alone = await engine.complete(Sampling(max_tokens=20, temperature=0).samples(["a bird"]))
            async with contextlib.aclosing(long(3)) as second:
                await anext(second)
            texts = ["", ""]
            while fresh:
                for place, news in fresh:
                    texts[place] += news.text
                fresh = await anext(first, [])
        assert texts[0] == texts[1]
        assert texts[0].startswith(alone[0].text)

    with_engine(folder, question)


@in_thread
def test_what_is_decoded_together_is_as_if_it_were_alone(folder: Path) -> None:
    pipe, _other_end = multiprocessing.Pipe()
    batch = Batch(folder, 256, None, 1, pipe)
    assert batch.decodes_ragged
    texts = [batch.tokenizer.encode(text).input_ids.data.flatten().tolist() for text in ("a bird in a hand", "a", "ü ")]
    alone = [batch.tokenizer.decode(ids) for ids in texts]
    assert batch._decoded(texts) == alone
    batch.decodes_ragged = False
    assert batch._decoded(texts) == alone
    assert batch._decoded([]) == []


@in_thread
def test_a_cancelled_text_is_written_no_further(folder: Path) -> None:
    pipe, _other_end = multiprocessing.Pipe()
    batch = Batch(folder, 256, None, 1, pipe)
    sampling = Sampling(max_tokens=200, temperature=0)
    for id, sample in enumerate(sampling.samples(["a bird", "a bird"])):
        assert batch.add(id, sample) == []
    batch.step()
    (event,) = batch.cancel(0)
    assert (event.finish, event.tokens) == ("cancelled", 1)
    batch.cancel(1)
    assert batch.step() == []
    assert not batch.busy
    assert batch.cancel(0) == []


@in_thread
def test_a_request_with_a_seed_is_written_alone(folder: Path) -> None:
    pipe, _other_end = multiprocessing.Pipe()
    batch = Batch(folder, 256, None, 1, pipe)
    long, short = Sampling(max_tokens=30, temperature=0), Sampling(max_tokens=3, temperature=0)
    seeded = Sampling(max_tokens=10, temperature=0, seed=7, n=2)

    def ask(first: int, sampling: Sampling) -> None:
        batch.waiting.append(list(enumerate(sampling.samples(["a bird"]), first)))

    def write(tokens: int = 1000) -> list[set[int]]:
        """Which texts were in the batch, as often as that changed."""
        seen: list[set[int]] = []
        while tokens and batch.busy:
            if not seen or seen[-1] != set(batch.texts):
                seen.append(set(batch.texts))
            batch.step()
            assert batch.begin() == []
            tokens -= 1
        return seen

    for first, sampling in ((1, long), (2, short), (10, seeded), (3, short), (20, seeded), (4, long)):
        ask(first, sampling)
    assert batch.begin() == []
    load = batch.load()
    assert load.running + load.waiting == 8
    seen = write(34)
    ask(5, short)  # it comes while one is written alone
    assert [*seen[:-1], *write()] == [{1, 2, 3, 4}, {1, 4}, {10, 11}, {5}, {20, 21}]

    for first, sampling in ((1, long), (10, seeded), (2, long)):  # who hangs up makes room for those behind
        ask(first, sampling)
    batch.begin()
    write(5)
    assert [batch.cancel(id)[0].finish for id in (10, 11)] == ["cancelled", "cancelled"]
    batch.begin()
    assert write() == [{1, 2}]


def test_a_prompt_that_is_refused_hurts_no_other(folder: Path) -> None:
    async def question(engine: Engine) -> None:
        with pytest.raises(RequestError, match="the model's context is 256"):
            await engine.complete(Sampling(max_tokens=20).samples(["a bird", "a bird " * 200]))
        with pytest.raises(RequestError, match="prompt: "):
            await engine.complete(Sampling(max_tokens=20).samples(["\ud800"]))
        assert len(await engine.complete(Sampling(max_tokens=20).samples(["a bird"]))) == 1

    with_engine(folder, question)


def test_an_engine_that_has_ended_says_so_and_begins_again(folder: Path) -> None:
    async def question(engine: Engine) -> None:
        for end in range(RESTARTS + 1):
            while not engine.ready:
                await asyncio.sleep(0.05)
            engine._process.kill()
            with pytest.raises(RequestError, match=r"the engine has stopped: .*SIGKILL") as error:
                await engine.complete(Sampling(max_tokens=200, temperature=0).samples(["a bird"]))
            assert error.value.status == 503
            assert not engine.ready
            with pytest.raises(RequestError, match="warming up" if end < RESTARTS else "SIGKILL"):
                engine.check()

    with_engine(folder, question)


def test_a_full_engine_takes_no_more(folder: Path) -> None:
    async def question(engine: Engine) -> None:
        engine._queue = 3
        asked = Sampling(max_tokens=200, temperature=0, n=3).samples(["a bird"], stream=True)
        async with contextlib.aclosing(engine.generate(asked)) as events:
            await anext(events)
            with pytest.raises(RequestError, match="3 texts are written or wait: ask again in 1 s") as error:
                await engine.complete(Sampling().samples([""]))
            assert (error.value.status, error.value.retry_after) == (429, 1)
        while engine._running:
            await asyncio.sleep(0.01)
        assert await engine.complete(Sampling().samples([""]))

    with_engine(folder, question)


@in_thread
def test_a_request_that_does_not_fit_the_cache_is_the_clients(folder: Path) -> None:
    pipe, _other_end = multiprocessing.Pipe()
    (sample,) = Sampling().samples(["a bird"])
    refused = Batch(folder, None, 1, 3, pipe)._too_small(7, sample)
    assert refused.status == 400  # asking again does not help
    assert refused.message.startswith("the key-value cache of 3 GB is too small for this request")
