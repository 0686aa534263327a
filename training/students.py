"""A smaller model made of a larger one's layers, for any causal language model that has a list of them."""

import copy
import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from mynah.errors import MynahError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def student_of(teacher: "PreTrainedModel") -> "PreTrainedModel":
    """A model of every second layer of `teacher`, its first and last among them, with all else as it is there.

    Raises MynahError where the model has no list of layers, or but one.
    """
    from transformers import AutoModelForCausalLM

    count = int(getattr(teacher.config, "num_hidden_layers", 0) or 0)
    lists = [
        name
        for name, module in teacher.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    kind = type(teacher).__name__
    if count < 2 or len(lists) != 1:
        raise MynahError(f"a {kind} has no list of layers to take every second one of: it cannot be distilled")
    kept = np.linspace(0, count - 1, (count + 1) // 2).round().astype(int).tolist()
    config = copy.deepcopy(teacher.config)
    for name, value in vars(config).items():  # what is said of each layer by itself, such as layer_types
        if isinstance(value, list | tuple) and len(value) == count:
            setattr(config, name, [value[layer] for layer in kept])
    config.num_hidden_layers = len(kept)
    student: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    places = {layer: place for place, layer in enumerate(kept)}
    pattern = re.compile(re.escape(lists[0]) + r"\.(\d+)\.")
    state = {}
    for name, weight in teacher.state_dict().items():
        found = pattern.match(name)
        if found is None:
            state[name] = weight
        elif int(found[1]) in places:
            state[f"{lists[0]}.{places[int(found[1])]}.{name[found.end() :]}"] = weight
    missing, unknown = student.load_state_dict(state, strict=False)
    if missing or unknown:
        raise MynahError(
            f"a {kind} of fewer layers is made otherwise ({(*missing, *unknown)[0]}): it cannot be distilled"
        )
    student.generation_config = copy.deepcopy(teacher.generation_config)
    return student


def count_weights(model: "PreTrainedModel") -> int:
    """The model's weights, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
