"""The section `judge`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah import toxicity
from mynah.bot.clean import Language
from mynah.bot.section import Section, Unit

Toxicity = Annotated[float, Field(gt=0, le=1)]


class Judge(Section):
    """Which candidates are worth a person's time. Every rejection is stored with its reasons."""

    unfinished: Literal["cut", "drop"] = "cut"
    """What becomes of a text that the model did not end: its unfinished last sentence is cut off, or it is rejected."""
    min_words: Annotated[int, Unit("words per text")] = Field(default=5, ge=1)
    """Reject texts with fewer words."""
    max_weight: Annotated[int, Unit("weighted characters")] = Field(default=280, ge=1, le=25000)
    """Reject texts that are longer, as X counts characters. X takes 280; more from accounts that pay."""
    min_variety: Annotated[float, Unit("share of the words")] = Field(default=0.5, ge=0, le=1)
    """Reject texts whose distinct words are a smaller share of all their words."""
    max_in_a_row: Annotated[int, Unit("times")] = Field(default=3, ge=1)
    """Reject texts that say a word, or up to 8 words, more often than this one time after the other."""
    max_copied: Annotated[float, Unit("share of the 5-word runs")] = Field(default=0.6, ge=0, le=1)
    """Reject texts of which a larger share stands word for word in the training texts."""
    max_copied_words: Annotated[int | None, Unit("words in a row")] = Field(default=16, ge=5)
    """Reject texts of which more words in a row stand in the training texts."""
    max_copied_likeness: Annotated[float, Unit("share of the runs of 5 characters")] = Field(default=0.5, ge=0, le=1)
    """Reject texts that share more with one training text: copies of a short text in which some words are others."""
    max_similarity: Annotated[float, Unit("share of the runs of 5 characters")] = Field(default=0.8, ge=0.5, le=1)
    """Reject texts that share this much with an earlier one of any bot, as clean.near_duplicate_similarity counts it.
    What a rule rejected is no earlier text; what a person rejected is one."""
    allow_links: bool = False
    """Let a text contain a link. X charges 13 times as much for such a post."""
    allow_mentions: bool = False
    """Let a text contain an @name. A bot that mentions people unasked breaks X's automation rules."""
    allow_hashtags: Annotated[int | None, Unit("#tags per text")] = Field(default=None, ge=0)
    """Let a text contain so many #tags at most. Without it, any number."""
    languages: list[Language] = Field(default=[])
    """Reject texts that are in none of these languages, by their ISO 639 codes, e.g. `[en]`. A text of a few words is
    let pass where it may be in one of them."""
    max_toxicity: Annotated[dict[toxicity.Language, Toxicity], Unit("0 to 1 by language")] = toxicity.MEASURED
    """Reject texts that are as coarse as this or worse, by lists of words: 1 is a slur, 0.8 obscene, 0.5 an insult,
    0.3 mild; several words add up. A language that is not in `languages`, where there are any, is left out. `{}` turns
    it off."""
    allow_words: list[str] = Field(default=[])
    """Words that are never coarse, whatever the lists say: names, most likely."""
    approve_best: Annotated[int, Unit("texts per generation")] = Field(default=0, ge=0)
    """Approve this many of the best candidates without a person. With 0, a person approves every text with
    `mynah curate`."""
    approve_above: Annotated[float | None, Unit("score")] = Field(default=None, ge=0, le=1)
    """Approve candidates with at least this score without a person. Without it, none."""
