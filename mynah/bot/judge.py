"""The section `judge`."""

from typing import Annotated

from pydantic import Field

from mynah.bot.section import Section, Unit


class Judge(Section):
    """Which candidates are worth a person's time. Every rejection is stored with its reason."""

    min_words: Annotated[int, Unit("words per text")] = Field(default=5, ge=1)
    """Reject texts with fewer words."""
    max_weight: Annotated[int, Unit("weighted characters")] = Field(default=280, ge=1, le=25000)
    """Reject texts that are longer, as X counts characters. X takes 280; more from accounts that pay."""
    min_variety: Annotated[float, Unit("share of the words")] = Field(default=0.5, ge=0, le=1)
    """Reject texts whose distinct words are a smaller share of all their words."""
    max_copied: Annotated[float, Unit("share of the 5-word runs")] = Field(default=0.5, ge=0, le=1)
    """Reject texts of which a larger share stands word for word in the training texts."""
    allow_links: bool = False
    """Let a text contain a link. X charges 13 times as much for such a post."""
    allow_mentions: bool = False
    """Let a text contain an @name. A bot that mentions people unasked breaks X's automation rules."""
    approve_best: Annotated[int, Unit("texts per generation")] = Field(default=0, ge=0)
    """Approve this many of the best candidates without a person. With 0, a person approves every text with
    `mynah curate`."""
