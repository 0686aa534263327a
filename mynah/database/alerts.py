"""What people were alerted to: a row for each thing that has not passed, so that they are told of it once."""

from collections.abc import Collection

from mynah.database.connection import Connection


def news(connection: Connection, bot: str, things: Collection[str]) -> set[str]:
    """Note what there is, and forget what there is no more; returns what is new.

    In the caller's transaction: another who notes the same waits until that is over.
    """
    connection.execute("DELETE FROM alerts WHERE bot = %s AND thing <> ALL(%s)", [bot, list(things)])
    rows = connection.execute(
        """
        INSERT INTO alerts (bot, thing) SELECT %s, thing FROM unnest(%s::text[]) AS thing ORDER BY thing
        ON CONFLICT DO NOTHING RETURNING thing
        """,
        [bot, list(things)],
    )
    return {thing for (thing,) in rows}
