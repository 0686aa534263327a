"""The section `prefer`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Section, Unit


class Prefer(Section):
    """How the current model is tuned on what its curators decided (`mynah prefer`)."""

    epochs: Annotated[float, Unit("passes")] = Field(default=2.5, gt=0)
    """Passes over the decisions of the commoner kind; those of the other kind are repeated as often as it takes."""
    batch_size: Annotated[int, Unit("decisions per step")] = Field(default=16, ge=4)
    """How many are learnt from in one step: half of them approved texts, half rejected ones."""
    learning_rate: Annotated[float, Unit("number")] = Field(default=4e-5, gt=0)
    """AdamW's highest learning rate."""
    beta: Annotated[float, Unit("per nat")] = Field(default=0.2, gt=0)
    """How soon a text counts as learnt, by how much likelier or less likely it has become. Higher: the model stays
    nearer to what it was."""
    language_weight: Annotated[float, Unit("factor")] = Field(default=0.2, ge=0)
    """How much the loss on training texts counts beside that on decisions: it keeps the voice."""
    min_decisions: Annotated[int, Unit("decisions")] = Field(default=20, ge=2)
    """Fewer decisions than this teach nothing."""
    max_loss: Annotated[float, Unit("times as high")] = Field(default=1.03, ge=1)
    """Refuse a model whose dev loss per character is this many times that of the current one."""
