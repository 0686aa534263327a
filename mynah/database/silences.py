"""The silences table: accounts of a source that gave texts and give none any more."""

from collections.abc import Sequence

from mynah.database.connection import Connection


def replace(connection: Connection, bot: str, source: str, accounts: Sequence[str]) -> None:
    """Say which accounts are silent now, after a look at all of them."""
    key = {"bot": bot, "source": source, "accounts": list(accounts)}
    with connection.transaction():
        connection.execute(
            "DELETE FROM silences WHERE bot = %(bot)s AND source = %(source)s AND account <> ALL (%(accounts)s)", key
        )
        connection.execute(
            """
            INSERT INTO silences (bot, source, account) SELECT %(bot)s, %(source)s, unnest(%(accounts)s::text[])
            ON CONFLICT DO NOTHING
            """,
            key,
        )


def count(connection: Connection, bot: str) -> dict[str, int]:
    """Silent accounts by source."""
    return dict(
        connection.execute("SELECT source, count(*) FROM silences WHERE bot = %s GROUP BY source", [bot]).fetchall()
    )
