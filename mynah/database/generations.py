"""The generations table: how far a `mynah generate` has come, so that a killed one is gone on with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from mynah.database.connection import Connection, rows_of

GOES_ON = 12.0  # hours after its last texts in which a generation that did not end is gone on with


@dataclass(frozen=True)
class Generation:
    """A row of `generations`."""

    id: int
    bot: str
    model: str
    asked: dict[str, Any]
    """Prompts and sampling."""
    first_seed: int | None
    requested: int
    """Texts that came, in the order of the plan."""
    good: int
    rejected: int
    known: int
    holder: UUID
    began_at: datetime
    came_at: datetime
    ended_at: datetime | None


def begin(
    connection: Connection, bot: str, model: str, asked: dict[str, Any], seed: int | None, holder: UUID
) -> Generation:
    """Go on with the bot's last one, where that asked the same of the same model and did not end; else a new one.

    Whoever was at work on it loses it. A new one counts its seeds on from those of the same `seed` before it.
    """
    key = {"bot": bot, "model": model, "asked": Jsonb(asked), "seed": seed, "holder": holder, "hours": GOES_ON}
    with connection.transaction(), connection.cursor(row_factory=rows_of(Generation)) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('generations of ' || %s, 0))", [bot])
        left = cursor.execute(
            """
            UPDATE generations SET holder = %(holder)s
            WHERE id = (SELECT max(id) FROM generations WHERE bot = %(bot)s) AND ended_at IS NULL
              AND model = %(model)s AND asked = %(asked)s
              AND came_at > clock_timestamp() - make_interval(hours => 1) * %(hours)s
            RETURNING *
            """,
            key,
        ).fetchone()
        if left:
            return left
        new = cursor.execute(
            """
            INSERT INTO generations (bot, model, asked, holder, first_seed)
            VALUES (%(bot)s, %(model)s, %(asked)s, %(holder)s, %(seed)s + (
                SELECT coalesce(sum(requested), 0) FROM generations
                WHERE bot = %(bot)s AND model = %(model)s AND (asked->>'seed')::bigint = %(seed)s
            ))
            RETURNING *
            """,
            key,
        ).fetchone()
    assert new  # an INSERT returns its row  # noqa: S101
    return new


def advance(
    connection: Connection, id: int, holder: UUID, requested: int, good: int, rejected: int, known: int
) -> bool:
    """Add the texts of a request to what came; False where another has the generation now."""
    return (
        connection.execute(
            """
            UPDATE generations SET requested = requested + %s, good = good + %s, rejected = rejected + %s,
                known = known + %s, came_at = clock_timestamp()
            WHERE id = %s AND holder = %s AND ended_at IS NULL
            """,
            [requested, good, rejected, known, id, holder],
        ).rowcount
        == 1
    )


def end(connection: Connection, id: int, holder: UUID, best: int, above: float | None) -> tuple[Generation, int] | None:
    """End it, and approve its `best` candidates and those with a score of `above` or more; returns how many those are.

    None where another has it now.
    """
    with connection.transaction(), connection.cursor(row_factory=rows_of(Generation)) as cursor:
        row = cursor.execute(
            """
            UPDATE generations SET ended_at = clock_timestamp() WHERE id = %s AND holder = %s AND ended_at IS NULL
            RETURNING *
            """,
            [id, holder],
        ).fetchone()
        if row is None:
            return None
        approved = 0
        for rule, chosen, most in (
            ("judge.approve_best", "true", best),
            ("judge.approve_above", "score >= %(above)s::double precision", None),  # none, where that is null
        ):
            cursor.execute("SELECT set_config('mynah.user', %s, true)", [rule])  # who decides
            approved += cursor.execute(
                f"""
                UPDATE tweets SET state = 'approved', judgement = 'approved', decided_at = now()
                WHERE id IN (
                    SELECT id FROM tweets WHERE generation_id = %(id)s AND state = 'candidate' AND revision = 1
                        AND {chosen}
                    ORDER BY score DESC NULLS LAST, id LIMIT %(most)s
                )
                """,  # noqa: S608 — nothing in it comes from outside
                {"id": id, "above": above, "most": most},
            ).rowcount
    return row, approved
