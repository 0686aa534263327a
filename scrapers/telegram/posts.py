"""A page of a channel's posts, however it was read."""

from dataclasses import dataclass

from mynah.document import Document


@dataclass(frozen=True)
class Posts:
    """Posts that follow each other."""

    documents: list[Document]
    """Those that have a text, oldest first."""
    ids: list[int]
    """Of all of them."""
    before: int | None
    """The page of older posts ends before this one; None where there are none."""
