"""Who decided what about a tweet: rows that a trigger writes and nobody changes."""

from dataclasses import dataclass
from datetime import datetime

from mynah.database.connection import Connection, rows_of

_DONE = {"approve": "approved", "reject": "rejected", "put back": "put back", "edit": "edited"}


@dataclass(frozen=True)
class Decision:
    """A row of `decisions`. The old judgement and text are None where the judge decided as the text was stored."""

    id: int
    tweet_id: int
    revision: int
    """The revision that it made, of the one before."""
    action: str
    """approve, reject, put back or edit."""
    old_judgement: str | None
    new_judgement: str
    old_text: str | None
    new_text: str
    who: str
    at: datetime
    why: str | None

    def __str__(self) -> str:
        """Such as `rejected by ana (off topic)`."""
        return f"{_DONE[self.action]} by {self.who}" + (f" ({self.why})" if self.why else "")


def decisions(connection: Connection, bot: str, tweet_id: int) -> list[Decision]:
    """All decisions about one tweet, the oldest first."""
    with connection.cursor(row_factory=rows_of(Decision)) as cursor:
        return cursor.execute(
            "SELECT * FROM decisions WHERE bot = %s AND tweet_id = %s ORDER BY id", [bot, tweet_id]
        ).fetchall()
