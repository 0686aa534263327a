"""What trains beside our loop in `make bench PART=learning`: each in a process of its own.

    python -m tests.bench.learners NAME FOLDER

takes tasks as lines of JSON and answers each with one. FOLDER has the base model in model/, and texts.json: train, dev.
"""

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.bench.child import Task, answer_tasks, kept_stdout, peak

BLOCK, BATCH = 128, 8
SEED = 0


class Learner(ABC):
    """One way to fine-tune a model."""

    @abstractmethod
    def steps(self, count: int) -> tuple[int, float]:
        """Learn for so many steps; how many tokens of texts, and in how many seconds."""


class Mynah(Learner):
    """The functions that our worker's loop is made of, on rows packed as it packs them.

    `how`: borders; blurred, where texts see those before them in their row; padded, a text in each row.
    """

    def __init__(self, folder: Path, how: str = "borders", world: int = 1, rank: int = 0, **train: Any) -> None:
        import numpy as np
        import torch
        import torch.distributed as dist

        from mynah.bot import Train
        from training import lora
        from training.attention import attend_to_short_rows
        from training.base_model import load_base
        from training.blocks import begin_with_bos, encode, pack, pack_dev
        from training.optimization import adamw

        self.torch, self.rank, self.world, self.step = torch, rank, world, 0
        self.train = Train(block_size=BLOCK, batch_size=BATCH, workers=world, seed=SEED, **train)
        if world > 1:
            store = dist.FileStore(str(folder / "store"), world)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(minutes=10))
        self.model, tokenizer = load_base(str(folder / "model"), folder / "cache")
        begin_with_bos(tokenizer)
        attend_to_short_rows(self.model)
        if self.train.method == "lora":
            self.model = lora.with_adapter(self.model, self.train)
        self.model.config.use_cache = False
        self.model.train()
        texts = json.loads((folder / "texts.json").read_text("utf-8"))
        documents = list(encode(tokenizer, texts["train"]))
        self.rows = pack(documents, BLOCK, together=how != "padded")
        if how == "padded":  # as many tokens a step as the packed rows have
            packed = pack(documents, BLOCK)
            rows = round(BATCH * len(self.rows) / len(packed))
            self.train = self.train.model_copy(update={"batch_tokens": rows * BLOCK})
        elif how == "blurred":
            self.rows = replace(self.rows, positions=np.tile(np.arange(BLOCK, dtype=np.int32), (len(self.rows), 1)))
        self.dev = pack_dev(encode(tokenizer, texts["dev"]), BLOCK, 64)
        self.parallel: Any = self.model
        if world > 1:  # as Ray Train's prepare_model does
            self.parallel = torch.nn.parallel.DistributedDataParallel(self.model, gradient_as_bucket_view=True)
        self.optimizer = adamw(self.model, self.train)

    def steps(self, count: int, all_steps: int = 0) -> tuple[int, float]:
        from training.gradients import gradients
        from training.optimization import learning_rate, step_rows

        tokens, begin = 0, time.monotonic()
        for _ in range(count):
            self.torch.manual_seed(self.step * self.world + self.rank)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.step, all_steps, self.train) if all_steps else 1e-5
            rows = step_rows(self.step, self.rows, self.train)
            gradients(self.parallel, self.model, rows, self.train, self.rank, self.world, self.torch.device("cpu"))
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
            tokens += rows.count_tokens()
        return tokens, time.monotonic() - begin

    def epoch(self, share: float) -> tuple[int, float, float]:
        """Learn about that share of an epoch; the tokens, the seconds, and what share it was."""
        whole = -(-len(self.rows) // BATCH)
        count = max(1, round(share * whole))
        return *self.steps(count), count / whole

    def dev_loss(self) -> float:
        """In nats per token, each dev text by itself."""
        from training.loss import dev_loss

        self.model.eval()
        loss = dev_loss(self.model, self.dev, self.train, 0, 1, self.torch.device("cpu"))
        self.model.train()
        return loss


class TwoWorkers(Learner):
    """Two processes of a thread each, which exchange their gradients."""

    def __init__(self, folder: Path) -> None:
        (folder / "store").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.bench.learners", "the second of two", str(folder)]
        self._other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self._mine = Mynah(folder, world=2)

    def steps(self, count: int) -> tuple[int, float]:
        assert self._other.stdin
        self._other.stdin.write(json.dumps({"do": "steps", "count": count}) + "\n")
        self._other.stdin.flush()
        return self._mine.steps(count)


class Trainer(Learner):
    """transformers' Trainer as the references use it: fp32, a line in each row, padded to its batch's longest."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        from training.base_model import load_base
        from training.blocks import begin_with_bos

        transformers.logging.set_verbosity_error()
        self._model, self._tokenizer = load_base(str(folder / "model"), folder / "cache")
        begin_with_bos(self._tokenizer)
        texts = json.loads((folder / "texts.json").read_text("utf-8"))["train"]
        ids = self._tokenizer(texts, truncation=True, max_length=BLOCK - 1)["input_ids"]
        self._lines = [{"input_ids": [*line, self._tokenizer.eos_token_id]} for line in ids]
        self._begun, self._folder, self._torch, self._transformers = 0, folder, torch, transformers

    def steps(self, count: int) -> tuple[int, float]:
        t = self._transformers
        lines = [self._lines[(self._begun + n) % len(self._lines)] for n in range(count * BATCH)]
        self._begun += len(lines)
        times: list[float] = []

        class Clock(t.TrainerCallback):  # type: ignore[misc, name-defined]
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                times.append(time.monotonic())

            def on_step_end(self, *_: Any, **__: Any) -> None:
                times.append(time.monotonic())

        arguments = t.TrainingArguments(
            output_dir=str(self._folder / "trainer"),
            per_device_train_batch_size=BATCH,
            max_steps=count,
            learning_rate=1e-5,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        collator = t.DataCollatorForLanguageModeling(self._tokenizer, mlm=False)
        t.Trainer(
            model=self._model, args=arguments, train_dataset=lines, data_collator=collator, callbacks=[Clock()]
        ).train()
        return sum(len(line["input_ids"]) for line in lines), times[-1] - times[0]


LEARNERS: dict[str, Callable[[Path], Learner]] = {
    "mynah": Mynah,
    "mynah, fp32": lambda folder: Mynah(folder, precision="fp32"),
    "mynah, LoRA": lambda folder: Mynah(folder, method="lora"),
    "transformers' Trainer": Trainer,
    "one worker": Mynah,
    "two workers": TwoWorkers,
    "the second of two": lambda folder: Mynah(folder, world=2, rank=1),
    "borders": Mynah,
    "no borders": lambda folder: Mynah(folder, "blurred"),
    "padded": lambda folder: Mynah(folder, "padded"),
}


def main() -> None:
    import psutil
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    name, folder = sys.argv[1], Path(sys.argv[2])
    answers = kept_stdout()
    learner = LEARNERS[name](folder)

    def answer(task: Task) -> dict[str, Any]:
        what = task.pop("do")
        if what == "steps":
            tokens, seconds = learner.steps(**task)
            return {"tokens": tokens, "seconds": seconds, "bytes": peak(psutil.Process())}
        assert isinstance(learner, Mynah)
        if what == "epoch":
            tokens, seconds, share = learner.epoch(**task)
            return {"tokens": tokens, "seconds": seconds, "bytes": peak(psutil.Process()), "share": share}
        return {"dev_loss": learner.dev_loss()}

    answer_tasks(answers, answer)
    os._exit(0)


if __name__ == "__main__":
    main()
