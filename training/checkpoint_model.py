"""A checkpoint, which a training goes on from, becomes a Hugging Face folder, without the optimizer's state."""

from pathlib import Path

from mynah.bot import Train
from mynah.errors import MynahError


def convert(state: Path, folder: Path, name: str, cache: Path) -> None:
    """Write the model of the checkpoint file `state` to `folder`: fp32 safetensors, tokenizer; an adapter beside it.

    `name` is what people call it, and the base that it was tuned from is looked for in `cache`. Raises MynahError where
    that base is no more, or another model.
    """
    import torch
    from transformers import GenerationConfig

    from training import lora
    from training.base_model import load_base

    held = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
    if "train" not in held:
        raise MynahError(f"base model {name}: an older version wrote this checkpoint; its run can only be gone on with")
    train = Train.model_validate(held["train"])
    model, tokenizer = load_base(train.base, cache)
    if train.method == "lora":
        model = lora.with_adapter(model, train)
    try:
        lora.load_tuned_state(model, held["model"])
    except RuntimeError as error:
        raise MynahError(f"base model {name}: {train.base} is not what it was tuned from any more") from error
    model.generation_config = GenerationConfig()  # some bases' own cannot be saved
    lora.save_whole(model, folder)
    tokenizer.save_pretrained(folder)
