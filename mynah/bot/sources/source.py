"""What all sources have in common."""

from typing import Annotated

from pydantic import Field

from mynah.bot.kinds import Kind
from mynah.bot.section import Unit


class Source(Kind):
    """Where texts come from. Its kind is the name of the module in scrapers/ that reads it."""

    max_texts: Annotated[int | None, Unit("texts")] = Field(default=None, ge=1)
    """How many of its texts a dataset takes at the most, so that a large source does not drown the others. They are
    chosen by chance, always the same ones of the same texts."""
