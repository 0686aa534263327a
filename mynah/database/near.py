"""The tweet_bands table: which earlier texts are nearly the same as a new one, of whatever bot.

Texts that share a band of their MinHash are fetched, and compared shingle by shingle. The bands of a text are computed
by whoever looks next; until then a trigger keeps its row empty.
"""

from itertools import islice

from mynah.database.connection import Connection
from mynah.recitation import BANDS, ROWS, band_hash, minhash, shingles
from mynah.rules import Near
from mynah.text import same_text_key

AT_ONCE = 500  # texts whose bands are computed in one statement
COMPARED = 200  # texts that share a band with a new one, at most; the newest


def fill(connection: Connection, most: int = 5000) -> int:
    """Compute the bands of the texts that lack them, the newest first, at most `most`; returns how many there were.

    It takes a second for a thousand.
    """
    filled = 0
    while filled < most:
        rows = connection.execute(
            """
            SELECT id, text FROM tweet_bands JOIN tweets ON id = tweet_id
            WHERE bands IS NULL ORDER BY tweet_id DESC LIMIT %s
            """,
            [min(AT_ONCE, most - filled)],
        ).fetchall()
        if not rows:
            break
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                # The text may have been edited meanwhile: its new bands are computed next time.
                """
                UPDATE tweet_bands SET bands = %s WHERE tweet_id = %s
                AND EXISTS (SELECT FROM tweets WHERE id = tweet_id AND text = %s FOR SHARE)
                """,
                [(bands(text), id, text) for id, text in rows],
            )
        filled += len(rows)
    return filled


def nearest(connection: Connection, text: str) -> Near | None:
    """The earlier text that is nearest to this one, where any comes near.

    Those that a rule rejected as they were stored do not count: what a rule says of them holds for the new one too, or
    it does not matter any more.
    """
    rows = connection.execute(
        """
        SELECT id, bot, text FROM tweets
        WHERE id = ANY (ARRAY(SELECT tweet_id FROM tweet_bands WHERE bands && %s::integer[]))
          AND (judgement <> 'rejected' OR revision > 1)
        ORDER BY id DESC LIMIT %s
        """,
        [bands(text), COMPARED],
    ).fetchall()
    mine = shingles(same_text_key(text))
    best = None
    for id, bot, other in rows:
        theirs = shingles(same_text_key(other))
        similarity = round(len(mine & theirs) / len(mine | theirs), 3)
        if best is None or similarity > best.similarity:
            best = Near(id, bot, other, similarity)
    return best


def bands(text: str) -> list[int]:
    """Of a text's MinHash, BANDS numbers as Postgres' integer has them; one at another place is another number."""
    values = iter(minhash(text))
    return [band_hash((place, *islice(values, ROWS))) - 0x80000000 for place in range(BANDS)]
