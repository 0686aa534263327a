"""The numbers that are computed with."""

from contextlib import AbstractContextManager

import torch

from mynah.bot import Train


def arithmetic(train: Train, device: torch.device) -> str:
    """What is computed in: bf16 or fp32. A CPU without instructions for bf16 takes fifty times as long with it."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "fp32"
    return train.precision


def autocast(train: Train, device: torch.device) -> AbstractContextManager[None]:
    """Compute in what `arithmetic` says."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=arithmetic(train, device) == "bf16")
