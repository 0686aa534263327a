"""A CPU without instructions for bf16."""

import pytest
import torch

from mynah.bot import Train
from training.precision import arithmetic, autocast


def test_a_cpu_without_bf16_computes_in_fp32(monkeypatch: pytest.MonkeyPatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert arithmetic(Train(precision="bf16"), cpu) == "fp32"
    with autocast(Train(precision="bf16"), cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert arithmetic(Train(precision="bf16"), cpu) == "bf16"
    assert arithmetic(Train(precision="fp32"), cpu) == "fp32"
