"""What people decided about the texts that models wrote: the newest decision of each, as a label to learn from."""

from dataclasses import dataclass

from mynah.database.connection import Connection, rows_of


@dataclass(frozen=True)
class Label:
    """A text of a model and what people made of it."""

    tweet_id: int
    prompt: str
    written: str
    """The text as the model wrote it, which begins with the prompt."""
    text: str
    """As people have edited it; where none did, the same."""
    judgement: str
    """candidate, approved or rejected: a candidate that was edited."""
    decision_id: int


def labels(connection: Connection, bot: str) -> list[Label]:
    """What people last decided about each of the bot's texts, by the time of the decision.

    What the judge decided as it stored a text is no label, nor is what was put back unchanged or a text that a person
    wrote.
    """
    with connection.cursor(row_factory=rows_of(Label)) as cursor:
        return cursor.execute(
            """
            SELECT t.id AS tweet_id, prompt, written, text, judgement, last.id AS decision_id
            FROM tweets AS t CROSS JOIN LATERAL (
                SELECT id, old_judgement FROM decisions AS d WHERE d.bot = t.bot AND d.tweet_id = t.id
                ORDER BY id DESC LIMIT 1
            ) AS last
            WHERE t.bot = %s AND t.model IS NOT NULL AND old_judgement IS NOT NULL
              AND (judgement <> 'candidate' OR text <> written)
            ORDER BY last.id
            """,
            [bot],
        ).fetchall()
