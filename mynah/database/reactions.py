"""The reactions table: what people made of a post, by name (likes, reposts, replies, quotes, views), a row a day."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from mynah.database.connection import Connection, rows_of


def note(connection: Connection, numbers: Mapping[int, Mapping[str, int]]) -> None:
    """Keep the numbers of posts, by their ids, as they are today (in UTC). A post without numbers is left out."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO reactions (post_id, day, numbers) VALUES (%s, (now() AT TIME ZONE 'UTC')::date, %s)
            ON CONFLICT (post_id, day) DO UPDATE SET numbers = EXCLUDED.numbers
            """,
            [(id, Jsonb(dict(told))) for id, told in sorted(numbers.items()) if told],
        )


@dataclass(frozen=True)
class Reaction:
    """A posted text and what people made of it, as it was last told."""

    post_id: int
    tweet_id: int
    account: str
    text: str
    numbers: dict[str, int]


def of_bot(connection: Connection, bot: str) -> list[Reaction]:
    """All posts of the bot that people's reactions are known of, the oldest first: for a ranking to learn from."""
    with connection.cursor(row_factory=rows_of(Reaction)) as cursor:
        return cursor.execute(
            """
            SELECT DISTINCT ON (p.id) p.id AS post_id, p.tweet_id, p.account, p.text, r.numbers
            FROM posts AS p JOIN reactions AS r ON r.post_id = p.id WHERE p.bot = %s ORDER BY p.id, r.day DESC
            """,
            [bot],
        ).fetchall()


def of_posts(connection: Connection, ids: list[int]) -> dict[int, dict[str, int]]:
    """The last known numbers of these posts, by their ids."""
    found = connection.execute(
        """
        SELECT DISTINCT ON (post_id) post_id, numbers FROM reactions WHERE post_id = ANY(%s) ORDER BY post_id, day DESC
        """,
        [ids],
    )
    return dict(found.fetchall())
