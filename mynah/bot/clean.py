"""The section `clean`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah.bot.section import Section, Unit


class Clean(Section):
    """How scraped documents become training texts. The rules apply in the order of these keys."""

    drop_retweets: bool = True
    """Leave out documents that are marked as a retweet or begin with "RT @"."""
    drop_replies: bool = False
    """Leave out documents that begin with an @mention."""
    drop_leading_link: bool = False
    """Leave out documents that begin with a link."""
    min_likes: Annotated[int, Unit("likes")] = Field(default=0, ge=0)
    """Leave out documents that are known to have fewer likes."""
    drop_lines: list[str] = Field(default=[])
    """Remove the lines that contain any of these texts; capitals matter."""
    unescape_html: bool = True
    """Turn &amp; and the other HTML entities into their characters."""
    strip_links: bool = True
    """Remove links: http, https, www and pic.twitter.com."""
    strip_mentions: bool = False
    """Remove @names."""
    strip_hashtags: bool = False
    """Remove #tags."""
    ascii_only: bool = False
    """Remove every character outside ASCII. Curly quotes and dashes become plain ones first."""
    newlines: Literal["keep", "space"] = "space"
    """What becomes of the line breaks inside a document: they stay, or become a space."""
    min_words: Annotated[int, Unit("words per text")] = Field(default=3, ge=1)
    """Leave out texts with fewer words, counted after the rules above."""
    max_words: Annotated[int | None, Unit("words per text")] = Field(default=None, ge=1)
    """Leave out texts with more words. Without it, a text may be of any length."""
