"""The section `clean`."""

from typing import Annotated, Literal

import regex
from pydantic import AfterValidator, Field

from mynah.bot.section import Section, Unit


def _pattern(value: str) -> str:
    try:
        regex.compile(value)
    except regex.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
# ISO 639, as py3langid names languages; which ones it knows is said when a text is asked about.
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class Clean(Section):
    """How scraped documents become training texts. The rules apply in the order of these keys, and again until nothing
    changes any more, so that a cleaned text is clean. `mynah clean BOT --explain` shows what each rule did."""

    drop_retweets: bool = True
    """Leave out documents that are marked as a retweet or begin with "RT @"."""
    drop_replies: bool = False
    """Leave out documents that begin with an @mention, unless it is their own author who is mentioned."""
    drop_leading_link: bool = False
    """Leave out documents that begin with a link."""
    min_likes: Annotated[int, Unit("likes")] = Field(default=0, ge=0)
    """Leave out documents that are known to have fewer likes."""
    drop_lines: list[str] = Field(default=[])
    """Remove the lines that contain any of these texts; capitals matter."""
    drop_lines_matching: list[Pattern] = Field(default=[])
    """Remove the lines in which any of these regular expressions is found, e.g. `^Follow (her|him) on`."""
    strip_headers: list[str] = Field(default=[])
    """Remove these texts where a document begins with one; capitals matter."""
    unescape_html: bool = True
    """Turn &amp; and the other HTML entities into their characters."""
    strip_links: bool = True
    """Remove links: http, https, www and pic.twitter.com."""
    strip_mentions: bool = False
    """Remove @names."""
    strip_hashtags: bool = False
    """Remove #tags."""
    strip_emoji: bool = False
    """Remove emoji."""
    case: Literal["keep", "lower", "upper"] = "keep"
    """Write everything in small letters, or in capitals."""
    ascii_only: bool = False
    """Remove every character outside ASCII. Curly quotes and dashes become plain ones first."""
    newlines: Literal["keep", "space"] = "space"
    """What becomes of the line breaks inside a document: they stay, or become a space."""
    min_words: Annotated[int, Unit("words per text")] = Field(default=3, ge=1)
    """Leave out texts with fewer words, counted after the rules above."""
    max_words: Annotated[int | None, Unit("words per text")] = Field(default=None, ge=1)
    """Leave out texts with more words. Without it, a text may be of any length."""
    min_characters: Annotated[int, Unit("characters per text")] = Field(default=1, ge=1)
    """Leave out texts with fewer characters."""
    max_characters: Annotated[int | None, Unit("characters per text")] = Field(default=None, ge=1)
    """Leave out texts with more characters."""
    max_capitals: Annotated[float, Unit("share of the letters")] = Field(default=1.0, ge=0, le=1)
    """Leave out texts that shout: those of whose letters a larger share are capitals. 1 leaves out none."""
    languages: list[Language] = Field(default=[])
    """Leave out texts that are in none of these languages, by their ISO 639 codes, e.g. `[en]`. It costs some 0.2 ms
    per text and 100 MB of memory."""
    min_language_confidence: Annotated[float, Unit("probability")] = Field(default=0.3, gt=0, le=1)
    """How surely a text must be in one of `languages`. Short texts are seldom sure: at 0.3, nine of ten English tweets
    are kept, at 0.9 two of three."""
    drop_near_duplicates: bool = False
    """Leave out texts that are nearly the same as one before them. Where they are kept, they are on one side of the
    split into train and dev; a text that is near texts on both sides is left out."""
    near_duplicate_similarity: Annotated[float, Unit("share of the runs of 5 characters")] = Field(
        default=0.8, ge=0.5, le=1
    )
    """Texts are nearly the same when at least this share of their runs of 5 characters is in both (Jaccard). Case,
    white space and punctuation do not count."""
