"""LoRA: beside each matrix of a frozen model, two narrow ones that are learnt; merged into it in the end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.bot import Train
from mynah.errors import MynahError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

ADAPTER = "adapter"  # the folder, in the model's own


def with_adapter(model: "PreTrainedModel", train: Train) -> "PreTrainedModel":
    """`model` with an adapter at its beginning, which changes nothing yet; nothing else of it is tuned.

    It sets torch's seed. Raises MynahError where train.lora_targets names no layer of the model.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(train.seed)
    config = LoraConfig(
        r=train.lora_rank,
        lora_alpha=train.lora_alpha,  # type: ignore[arg-type]  # it divides
        lora_dropout=train.lora_dropout,
        target_modules=train.lora_targets or "all-linear",
        task_type="CAUSAL_LM",
        base_model_name_or_path=train.base,
    )
    try:
        return get_peft_model(model, config)  # type: ignore[return-value]  # it stands in for the model
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if not list(part.children())})
        raise MynahError(
            f"train.lora_targets: {train.base} has no such layers ({', '.join(train.lora_targets or ())}); it has"
            f" {', '.join(names)}"
        ) from error


def tuned_state(model: "PreTrainedModel") -> "dict[str, torch.Tensor]":
    """What a checkpoint holds of `model`: of one with an adapter, the adapter alone."""
    if not _has_adapter(model):
        return model.state_dict()
    return {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}


def load_tuned_state(model: "PreTrainedModel", state: dict[str, Any]) -> None:
    """Go on with what `tuned_state` gave. Raises RuntimeError where it is of another model."""
    unknown = model.load_state_dict(state, strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"the checkpoint is of another model: {unknown[0]}")


def save_whole(model: "PreTrainedModel", folder: Path) -> None:
    """Write `model` as it is served: the adapter merged into its weights, and kept beside them in `adapter/`."""
    if _has_adapter(model):
        model.save_pretrained(str(folder / ADAPTER))
        (folder / ADAPTER / "README.md").unlink()  # peft's card, which says nothing of this model
        model = model.merge_and_unload()  # type: ignore[operator]
    model.save_pretrained(folder)


def _has_adapter(model: "PreTrainedModel") -> bool:
    return hasattr(model, "merge_and_unload")  # peft itself takes seconds to import
