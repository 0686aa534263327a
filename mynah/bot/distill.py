"""The section `distill`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Section, Unit


class Distill(Section):
    """How a smaller model learns from the current one (`mynah distill`)."""

    epochs: Annotated[float, Unit("passes")] = Field(default=3.0, gt=0)
    """Passes over the training texts."""
    batch_size: Annotated[int, Unit("texts per step")] = Field(default=32, ge=1)
    """Texts that are learnt from in one step."""
    learning_rate: Annotated[float, Unit("number")] = Field(default=3e-4, gt=0)
    """AdamW's highest learning rate. It is reached after a tenth of the steps and falls linearly to zero."""
    temperature: Annotated[float, Unit("factor")] = Field(default=2.0, gt=0)
    """Above 1, the smaller model learns more of what the larger one finds unlikely."""
    language_weight: Annotated[float, Unit("share")] = Field(default=0.5, ge=0, le=1)
    """How much of the loss is that on the texts themselves; the rest is how far the two models differ on them."""
    max_loss: Annotated[float, Unit("times as high")] = Field(default=1.25, ge=1)
    """Refuse a smaller model whose dev loss per character is this many times that of the current one."""
