"""The engine's process: OpenVINO GenAI's continuous batching, told through a pipe what to do.

OpenVINO holds the interpreter lock during a step, for up to 130 ms. In the server's process, no request would be read
and no health probe answered in that time.

Only the standard library is imported at the top, because the server imports this module too.
"""

import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.model.details import Details
from serving.model.messages import Chat, Event, Failed, Load, Phase, Ready, Refused, Sample
from serving.model.template import ChatTemplate, TemplateError

if TYPE_CHECKING:
    from serving.model.scoring import Scorer, Scoring

CACHE_GB = 1  # the least and the default, for keys and values; SmolLM2-135M needs 12 kB per token
TELL_LOAD = 0.5  # seconds between two messages about it
# Of OpenVINO's, beside its own defaults and the number of threads. Where a processor has bf16, OpenVINO computes in it
# by default: that reads prompts 1.5 times as fast, and writes 0.6 times as fast. With f32, weights and activations are
# multiplied as int8; activations in groups of 64 are as good as in the default's 32, and in groups of 192 are not.
SETTINGS: Mapping[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64}
_READ_CHUNK = 8 << 20  # bytes


@dataclass(slots=True)
class _Text:
    """A text being written."""

    sample: Sample
    handle: Any
    prompt: list[int]
    """Its tokens. The last one is decoded with the text: some tokenizers drop the space before a first word."""
    skip: int
    """Characters of that token."""
    lead: str = ""
    """What is still to be sent before the text: the prompt, where it is echoed."""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    sent: int = 0
    """Characters sent so far."""
    unread: int = 0
    """Tokens of the prompt that OpenVINO is still to give, each with its logarithmic probability."""
    details: Details | None = None
    first_at: float | None = None
    """When its first token was there."""


def run(folder: str, context: int | None, threads: int | None, cache_gb: int, pipe: Connection) -> None:
    """Write texts with the OpenVINO model in `folder` until told to end, or until the other end of `pipe` is closed.

    `context` is the most tokens that prompt and text may have together; `threads` and `cache_gb` are as in Engine.
    Takes from the pipe lists of (id, Sample), single ids to cancel, and None to end. Sends Phase, then Ready or Failed,
    then lists of Event, Refused and Load.
    """
    # The terminal's Ctrl-C and a service manager's SIGTERM reach this process too; the server decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the server is gone
        try:
            batch = Batch(Path(folder), context, threads, cache_gb, pipe)
        except (RuntimeError, ImportError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            pipe.send(Failed(lines[-1] if lines else type(error).__name__))
            return
        pipe.send(Ready())
        told = 0.0  # when the load was told last
        while True:
            news: list[Event | Refused | Load] = []
            while not (news or batch.busy) or pipe.poll():
                message = pipe.recv()
                if message is None:
                    return
                if isinstance(message, int):
                    news += batch.cancel(message)
                else:
                    batch.waiting.append(message)
                news += batch.begin()
            if batch.busy:
                news += batch.step()
                news += batch.begin()
            if not batch.busy or time.monotonic() > told + TELL_LOAD:
                told = time.monotonic()
                news.append(batch.load())
            if news:
                pipe.send(news)


class Batch:
    """The pipeline and the texts it writes."""

    def __init__(self, folder: Path, context: int | None, threads: int | None, cache_gb: int, pipe: Connection) -> None:
        self.folder = folder
        self.context = context
        self.cache_gb = cache_gb
        self.template = ChatTemplate(folder)
        self.scorer: Scorer | None = None
        self.waiting: deque[list[tuple[int, Sample]]] = deque()
        """Requests whose turn has not come."""
        self.together = False
        """Whether the last turn was that of those who share a batch."""
        self.texts: dict[int, _Text] = {}
        with _phase(pipe, "importing OpenVINO"):
            # OpenVINO reports its use to a server through this package, and does without where it is missing.
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
            import openvino_genai
        self.genai = openvino_genai
        weights = folder / "openvino_model.bin"
        with _phase(pipe, f"reading {weights.stat().st_size / 1e6:,.0f} MB of weights"), weights.open("rb") as file:
            # OpenVINO maps the file and reads it bit by bit while it compiles. This is faster, and shows a slow disk.
            while file.read(_READ_CHUNK):
                pass
        threads = threads or _thread_limit()
        self.settings = {**SETTINGS, **({"INFERENCE_NUM_THREADS": threads} if threads else {})}
        with _phase(pipe, f"compiling the model (threads: {threads or 'all'}, cache: {cache_gb} GB)"):
            self.tokenizer = openvino_genai.Tokenizer(folder)
            # It fills up shorter texts with a token of its own, which must not be seen in what they say.
            probe = self.tokenizer.encode("One, two, and three.").input_ids.data.flatten().tolist()
            ragged = [probe, probe[:1]]
            self.decodes_ragged = list(self.tokenizer.decode(ragged)) == [self.tokenizer.decode(ids) for ids in ragged]
            cache = openvino_genai.SchedulerConfig()
            cache.cache_size = cache_gb
            self.pipeline = openvino_genai.ContinuousBatchingPipeline(
                folder, self.tokenizer, cache, "CPU", **self.settings
            )
            self.ends = self.pipeline.get_config()
        with _phase(pipe, "answering a first request"):
            self.add(0, Sample("", 8, 1.0, 1.0, 0, 1.0, 0.0, 0.0, 1, (), False, None))
            while self.busy:
                self.step()

    @property
    def busy(self) -> bool:
        """Whether a step has something to do."""
        return bool(self.pipeline.has_non_finished_requests())

    def load(self) -> Load:
        """How busy it is after a step."""
        if not self.busy:
            return Load(0, 0, 0.0)
        metrics = self.pipeline.get_metrics()
        running = min(metrics.scheduled_requests, len(self.texts))
        waiting = len(self.texts) - running + sum(map(len, self.waiting))
        return Load(running, waiting, metrics.cache_usage / 100)

    def begin(self) -> list[Refused]:
        """Begin the texts of each request whose turn it is; returns those that cannot be written.

        Those that want to be alone and the others take turns: one of the first kind, then all of the second that wait
        by then, so that none waits for ever. While one waits to be alone, nobody joins the batch.
        """
        refused: list[Refused] = []
        while self.waiting and not any(text.sample.alone for text in self.texts.values()):
            alone = [request for request in self.waiting if _is_alone(request)]
            others = [request for request in self.waiting if not _is_alone(request)]
            if self.busy and alone:
                break
            turn = alone[:1] if alone and (self.together or not others) else others
            self.together = turn is others
            for request in turn:
                self.waiting.remove(request)
                for id, sample in request:
                    refused += self.add(id, sample)
        return refused

    def add(self, id: int, sample: Sample) -> list[Refused]:
        """Begin a text; returns a Refused where that cannot be."""
        try:
            prompt = self._tokens(sample.prompt)
            size = prompt.shape[1]
            if self.context is not None and size + min(sample.max_tokens, 1) > self.context:
                param = _param(sample)
                message = f"{param}: {size} tokens, and the model's context is {self.context}: shorten the {param}"
                return [Refused(id, 400, message, param)]
            handle = self.pipeline.add_request(id, prompt, self._config(sample, size))
            text = _Text(sample, handle, prompt.data.flatten().tolist(), 0)
            text.skip = len(self.tokenizer.decode(text.prompt[-1:]))
            if sample.echo:
                text.lead = sample.prompt if isinstance(sample.prompt, str) else self.tokenizer.decode(text.prompt)
            if self._scores_prompt(sample):
                text.unread = size
            if sample.logprobs is not None:
                text.details = Details(self.tokenizer, text.prompt, sample.echo, self._scoring(sample.logprobs))
        except TemplateError as error:
            return [Refused(id, 400, f"messages: the chat template says: {error}", "messages")]
        except (RuntimeError, TypeError, ValueError) as error:  # OpenVINO's; the other texts must not suffer
            param = _param(sample)
            return [Refused(id, 400, f"{param}: refused by OpenVINO: {str(error).splitlines()[0]}", param)]
        self.texts[id] = text
        return []

    def cancel(self, id: int) -> list[Event]:
        """End a text now; it may have ended already, or not begun."""
        for request in self.waiting:
            for place, (waiting, _) in enumerate(request):
                if waiting == id:
                    del request[place]
                    return [Event(id, "", 0, 0, "cancelled")]
        text = self.texts.pop(id, None)
        if text is None:
            return []
        text.handle.cancel()
        return [Event(id, "", len(text.prompt), len(text.ids), "cancelled", text.first_at)]

    def step(self) -> list[Event | Refused]:
        """Write the next token of every text; returns what is new."""
        self.pipeline.step()
        news: list[Event | Refused] = []
        told: list[tuple[int, _Text, str | None]] = []
        for id, text in list(self.texts.items()):
            finish = self._read(text)
            if finish == "refused":
                news.append(self._too_small(id, text.sample))
                del self.texts[id]
            elif finish or text.sample.stream or text.sample.stop:
                told.append((id, text, finish))
        wholes = self._decoded([[*text.prompt[-1:], *text.ids] for _, text, _ in told])
        for (id, text, finish), whole in zip(told, wholes, strict=True):
            event = self._event(id, text, finish, whole[text.skip :])
            if event:
                news.append(event)
                if event.finish:
                    del self.texts[id]
        return news

    def _decoded(self, texts: list[list[int]]) -> list[str]:
        """What tokens say. All in one call: it costs as much for twenty texts as for one."""
        if texts and self.decodes_ragged:
            return list(self.tokenizer.decode(texts))
        return [self.tokenizer.decode(ids) for ids in texts]

    def _read(self, text: _Text) -> str | None:
        """Take the tokens that were just written; returns why the text ended, if it did."""
        reason = self.genai.GenerationFinishReason.NONE
        while text.handle.can_read():
            for output in text.handle.read().values():
                ids, logprobs = output.generated_ids, output.generated_log_probs
                if text.unread:
                    echoed, ids, logprobs = logprobs[: text.unread], ids[text.unread :], logprobs[text.unread :]
                    text.unread -= len(echoed)
                    if text.details:
                        text.details.echo(echoed)
                text.ids += ids
                text.logprobs += logprobs
                if ids and text.first_at is None:
                    text.first_at = time.monotonic()
                reason = output.finish_reason
        if reason == self.genai.GenerationFinishReason.NONE:
            return "refused" if text.handle.get_status() == self.genai.GenerationStatus.IGNORED else None
        return "length" if reason == self.genai.GenerationFinishReason.LENGTH else "eos_token"

    def _event(self, id: int, text: _Text, finish: str | None, whole: str) -> Event | None:
        """What is new of `text`, which is now `whole`; None where there is nothing to tell."""
        sample = text.sample
        # OpenVINO's own stop strings cut whole tokens off, and with them what stands before the string in its token.
        stops = [place for stop in sample.stop if (place := whole.find(stop)) >= 0]
        if stops:
            whole = whole[: min(stops)]
            if not finish:
                text.handle.cancel()
            finish = "stop_sequence"
        if not finish:
            # Held back: half a character, and what may be the beginning of a stop string.
            safe = len(whole.rstrip("\ufffd"))
            safe = min(safe, len(whole) - max((len(stop) - 1 for stop in sample.stop), default=0))
            if not sample.stream or (safe <= text.sent and not text.lead):
                return None
            whole = whole[: max(safe, text.sent)]
        new, text.sent = text.lead + whole[text.sent :], len(whole)
        text.lead = ""
        details = text.details.new(text.ids, text.logprobs) if text.details else ()
        return Event(id, new, len(text.prompt), len(text.ids), finish, text.first_at if finish else None, details)

    def _tokens(self, prompt: str | tuple[int, ...] | Chat) -> Any:
        """A prompt as OpenVINO takes it, [1, tokens]."""
        import numpy
        from openvino import Tensor

        if isinstance(prompt, tuple):
            return Tensor(numpy.array([prompt], dtype=numpy.int64))
        if isinstance(prompt, Chat):  # the template spells BOS out where it wants one
            tokens = self.tokenizer.encode(self.template.render(prompt), add_special_tokens=False).input_ids
        else:
            tokens = self.tokenizer.encode(prompt).input_ids
        if tokens.shape[1] == 0:  # a tokenizer that adds no BOS, and an empty prompt: BOS, else EOS
            bos, eos = self.tokenizer.get_bos_token_id(), self.tokenizer.get_eos_token_id()
            return Tensor(numpy.array([[bos if bos >= 0 else eos]], dtype=numpy.int64))
        return tokens

    def _scoring(self, most: int) -> "Scoring | None":
        if not most:
            return None
        if self.scorer is None:
            from serving.model.scoring import Scorer

            self.scorer = Scorer(self.folder, self.settings)
        return self.scorer.begin(most)

    @staticmethod
    def _scores_prompt(sample: Sample) -> bool:
        """Whether OpenVINO gives the prompt's tokens too. It must where no token is to be written."""
        return sample.echo and (sample.logprobs is not None or sample.max_tokens == 0)

    def _config(self, sample: Sample, prompt_tokens: int) -> Any:
        config = self.genai.GenerationConfig()
        config.apply_chat_template = False
        config.eos_token_id = self.ends.eos_token_id
        config.stop_token_ids = self.ends.stop_token_ids
        room = sample.max_tokens if self.context is None else self.context - prompt_tokens
        config.max_new_tokens = min(sample.max_tokens, room)
        config.repetition_penalty = sample.repetition_penalty
        config.presence_penalty = sample.presence_penalty
        config.frequency_penalty = sample.frequency_penalty
        config.logprobs = int(sample.logprobs is not None)
        config.echo = self._scores_prompt(sample)
        if sample.temperature > 0:
            config.do_sample = True
            config.temperature = sample.temperature
            config.top_p = sample.top_p
            config.top_k = sample.top_k
            config.rng_seed = sample.seed
        return config

    def _too_small(self, id: int, sample: Sample) -> Refused:
        what = f"the key-value cache of {self.cache_gb} GB is too small for this request"
        message = f"{what}: shorten the prompt, ask for fewer tokens, or serve with a larger --cache-gb"
        return Refused(id, 400, message, _param(sample))


def _param(sample: Sample) -> str:
    """The field of a request that says what to go on from."""
    return "messages" if isinstance(sample.prompt, Chat) else "prompt"


def _is_alone(request: list[tuple[int, Sample]]) -> bool:
    return any(sample.alone for _, sample in request)


@contextlib.contextmanager
def _phase(pipe: Connection, what: str) -> Iterator[None]:
    pipe.send(Phase(what))
    begin = time.monotonic()
    yield
    pipe.send(Phase(what, time.monotonic() - begin))


def _thread_limit() -> int | None:
    """The processors that the container may use, where it has a limit. OpenVINO does not see it, and takes them all."""
    with contextlib.suppress(OSError, ValueError):  # https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        limit = max(1, round(int(quota) / int(period)))  # a quota of "max" is a ValueError: there is no limit
        if limit < len(os.sched_getaffinity(0)):
            return limit
    return None
