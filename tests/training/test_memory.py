"""What a training will take is measured before it takes it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from mynah.bot import Train
from mynah.errors import MynahError
from training import memory
from training.blocks import Rows
from training.memory import BUFFERS, Need, check, free_memory, measure

CPU = torch.device("cpu")
REAL = """
import ctypes, sys
import numpy as np, torch
from transformers import AutoModelForCausalLM, LlamaConfig
from mynah.bot import Train
from training.blocks import Rows
from training.loss import nats_of
from training.memory import measure
from training.optimization import adamw
from training.precision import autocast

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

torch.set_num_threads(1)
config = LlamaConfig(vocab_size=20000, num_hidden_layers=6, hidden_size=384, intermediate_size=1024,
                     num_attention_heads=6, num_key_value_heads=2, use_cache=False)
model, train, cpu = AutoModelForCausalLM.from_config(config).train(), Train(precision="fp32"), torch.device("cpu")
tokens = np.random.default_rng(0).integers(3, 20000, (8, 128)).astype(np.int32)
rows, head = Rows(tokens, np.tile(np.arange(128, dtype=np.int32), (8, 1))), model.get_output_embeddings()
need = measure(model, head, rows, train, cpu)
ctypes.CDLL(None).malloc_trim(0)
open("/proc/self/clear_refs", "w").write("5")
before, optimizer = status("VmRSS"), adamw(model, train)
for _ in range(2):
    nats_of(model, head, rows, cpu).backward()
    optimizer.step()
    optimizer.zero_grad()
print(need.total(8), status("VmHWM") - before)
"""


def rows_of(count: int) -> Rows:
    tokens = np.random.default_rng(0).integers(3, 100, (count, 32)).astype(np.int32)
    return Rows(tokens, np.tile(np.arange(32, dtype=np.int32), (count, 1)))


def test_it_grows_with_the_rows_and_with_what_is_tuned(model: LlamaForCausalLM):
    train, head = Train(precision="fp32"), model.get_output_embeddings()
    need = measure(model, head, rows_of(2), train, CPU)
    tuned = model.num_parameters()
    assert (need.state, need.gradients) == (8 * tuned, 4 * tuned)
    assert need.row > 31 * model.config.vocab_size * 4 * 2  # the logits and their gradient
    assert need.total(20) - need.total(10) == 10 * need.row
    model.requires_grad_(False)
    model.model.layers[0].requires_grad_(True)
    less = measure(model, head, rows_of(2), train, CPU)
    assert less.state < 0.1 * need.state


def test_too_little_memory_is_one_line_that_says_which_key_helps():
    need = Need(state=8 << 30, gradients=4 << 30, fixed=1 << 30, row=1 << 30)
    fits = (8 << 30) + (9 << 30) + BUFFERS
    check(need, fits, 1, Train(batch_size=8))
    with pytest.raises(MynahError) as error:
        check(need, fits - 1, 1, Train(batch_size=8))
    assert str(error.value) == (
        "training needs about 18.6 GB of memory beside the model, and 18.6 GB are free:"
        " lower train.batch_size to 7 (now 8), or set train.gradient_checkpointing to true"
    )
    with pytest.raises(MynahError, match=r"needs about 37\.1 GB .* 18\.6 GB are free: set train\.method to lora, or"):
        check(need, fits, 2, Train(batch_size=8))
    with pytest.raises(MynahError, match=r"free: name a smaller train\.base$"):
        check(need, 1 << 30, 1, Train(batch_size=8, method="lora"))


def test_a_container_has_what_its_group_may_still_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    without = free_memory(CPU)
    for controllers, files in {
        "": ("memory.max", "memory.current", "inactive_file"),
        "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }.items():
        folder = tmp_path / controllers
        folder.mkdir(exist_ok=True)
        for file, content in zip((*files[:2], "memory.stat"), ("5000000", "4000000", f"{files[2]} 1000"), strict=True):
            (folder / file).write_text(content)
    assert free_memory(CPU) == 1_001_000 < without


@pytest.mark.slow
def test_what_is_measured_is_what_a_training_then_takes():
    done = subprocess.run(
        [sys.executable, "-c", REAL], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    told, took = map(int, done.stdout.split())
    assert took < told < 1.4 * took
