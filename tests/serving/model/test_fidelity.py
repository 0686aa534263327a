"""What the engine writes is what the model says: beside transformers, both in fp32."""

import math
import multiprocessing
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.model import process
from serving.model.messages import Event, Token
from serving.model.process import Batch
from serving.model.sampling import Sampling
from tests.serving.model.conftest import SAYINGS
from tests.thread import in_thread

pytestmark = pytest.mark.slow

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
WORDS = sorted({word for saying in SAYINGS for word in saying.split()})
# Half of what one knows by heart, and what nobody ever said.
PROMPTS = [saying[: 3 * n] for saying in SAYINGS for n in range(1, 5)] + [
    f"{WORDS[n]} {WORDS[-n]} {WORDS[3 * n % len(WORDS)]}" for n in range(18)
]
DRAWN = 4000  # texts of one token


@pytest.fixture(scope="module")
def transformer(model_folder: Path) -> Any:
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(model_folder).eval()


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(model_folder)


@pytest.fixture(scope="module")
def folder(model_folder: Path, transformer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The OpenVINO folder of the same model, its weights in fp32."""
    from optimum.exporters.openvino.convert import export_from_model
    from optimum.intel import OVConfig

    from training.publish import import_exporters

    import_exporters()
    warnings.simplefilter("ignore")  # pytest puts the filters back
    folder = tmp_path_factory.mktemp("fp32") / "openvino"
    shutil.copytree(model_folder / "openvino", folder, ignore=shutil.ignore_patterns("openvino_model.*"))
    exported = tmp_path_factory.mktemp("exported")
    export_from_model(transformer, exported, task="text-generation-with-past", ov_config=OVConfig(dtype="fp32"))
    for suffix in ("xml", "bin"):
        shutil.copy(exported / f"openvino_model.{suffix}", folder)
    return folder


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SETTINGS", EXACT)


def written(folder: Path, *asked: tuple[Sampling, str | tuple[int, ...]]) -> Iterator[tuple[str, list[Token]]]:
    """Text and tokens of every text, in order."""
    pipe, _other_end = multiprocessing.Pipe()
    batch = Batch(folder, 2048, 2, 1, pipe)
    samples = [sample for sampling, prompt in asked for sample in sampling.samples([prompt], logprobs=0)]
    ended: dict[int, Event] = {}
    for id, sample in enumerate(samples, 1):
        assert batch.add(id, sample) == []
    while batch.busy:
        ended |= {event.id: event for event in batch.step() if isinstance(event, Event) and event.finish}
    for id in range(1, len(samples) + 1):
        yield ended[id].text, list(ended[id].details)


@in_thread
@pytest.mark.usefixtures("exact")
def test_greedy_texts_are_the_same_token_by_token(folder: Path, transformer: Any, tokenizer: Any) -> None:
    import torch

    assert len(set(PROMPTS)) == 50
    greedy = Sampling(max_tokens=40, temperature=0)
    for prompt, (_, tokens) in zip(PROMPTS, written(folder, *((greedy, prompt) for prompt in PROMPTS)), strict=True):
        asked = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.inference_mode():
            whole = transformer.generate(asked, do_sample=False, max_new_tokens=40)
            own = transformer(whole).logits[0, asked.shape[1] - 1 : -1].log_softmax(-1)
        ids = whole[0, asked.shape[1] :].tolist()
        assert [token.id for token in tokens] == ids, prompt
        wanted = [float(own[place, id]) for place, id in enumerate(ids)]
        assert [token.logprob for token in tokens] == pytest.approx(wanted, abs=0.02), prompt


@in_thread
@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    ("prompt", "fields"),
    [
        ("", {"temperature": 1.0}),
        ("", {"temperature": 0.6}),
        ("a bird", {"temperature": 2.0}),
        ("", {"temperature": 1.5, "top_k": 5}),
        ("", {"temperature": 2.0, "top_p": 0.8}),
        ("", {"temperature": 2.0, "top_k": 12, "top_p": 0.7}),
        ("the the a a many many", {"temperature": 2.0, "repetition_penalty": 1.8}),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_they_are_likely(
    folder: Path, transformer: Any, tokenizer: Any, prompt: str, fields: dict[str, Any]
) -> None:
    """A chi-square test, with seeds that stay: it cannot fail by chance, once it has passed."""
    import torch
    from scipy.stats import chisquare
    from transformers import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    sampling = [Sampling(max_tokens=1, seed=seed, n=100, **fields) for seed in range(DRAWN // 100)]
    told = [tokens[0] for _, tokens in written(folder, *((one, prompt) for one in sampling))]
    seen = Counter(token.id for token in told)

    asked = tokenizer(prompt, return_tensors="pt").input_ids
    with torch.inference_mode():
        logits = transformer(asked).logits[:, -1]
    rules: list[Any] = [RepetitionPenaltyLogitsProcessor(fields.get("repetition_penalty", 1.0))]
    rules.append(TemperatureLogitsWarper(float(fields["temperature"])))
    rules += [TopKLogitsWarper(fields["top_k"])] if "top_k" in fields else []
    rules += [TopPLogitsWarper(fields["top_p"])] if "top_p" in fields else []
    likely = LogitsProcessorList(rules)(asked, logits)[0].double().softmax(-1).tolist()

    assert all(likely[id] > 0 for id in seen), "drawn, and could not be"
    often = [id for id, one in enumerate(likely) if one * DRAWN >= 5]
    assert len(often) > 3
    counts = [seen[id] for id in often] + [DRAWN - sum(seen[id] for id in often)]
    wanted = [likely[id] * DRAWN for id in often] + [DRAWN - sum(likely[id] * DRAWN for id in often)]
    if wanted[-1] < 5:  # nearly all stand by themselves
        counts, wanted = [*counts[:-2], sum(counts[-2:])], [*wanted[:-2], sum(wanted[-2:])]
    wanted = [one * DRAWN / math.fsum(wanted) for one in wanted]
    assert chisquare(counts, wanted).pvalue > 0.001
