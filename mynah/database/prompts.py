"""What people ask the bots, and the texts that answer. Equal prompts that come together are written once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from mynah.database.connection import Connection, rows_of

POPULAR = 3  # visits from which on a prompt is named to others
LASTS = 60.0  # seconds that a claim to write an answer counts, unless it is renewed
LEFT = "whoever wrote it has ended: ask again"  # why an answer failed that anybody may take on


@dataclass(frozen=True)
class Answer:
    """A row of `answers`, with what its prompt adds."""

    id: UUID
    model: str
    state: str
    phase: str
    texts: list[dict[str, Any]]
    why: str | None
    asked_at: datetime
    before: int
    """How many others of the bot are being written and were asked earlier."""


@dataclass(frozen=True)
class Visit:
    """What is known of a prompt when it is asked."""

    prompt_id: int
    visits: int
    model: str | None
    """The bot's current model; None where it has none."""
    answer: Answer | None
    """Of that model; None where nobody has asked yet."""


_EXPIRED = "answers.state = 'writing' AND answers.expires_at <= clock_timestamp()"
_ANSWER = f"""
    answers.id, answers.model, CASE WHEN {_EXPIRED} THEN 'failed' ELSE answers.state END AS state, answers.phase,
    answers.texts, CASE WHEN {_EXPIRED} THEN '{LEFT}' ELSE answers.why END AS why, answers.asked_at,
    CASE WHEN answers.state <> 'writing' THEN 0 ELSE (
        SELECT count(*) FROM answers AS other JOIN prompts AS theirs ON theirs.id = other.prompt_id
        WHERE other.state = 'writing' AND theirs.bot = %(bot)s AND other.asked_at < answers.asked_at
          AND other.expires_at > clock_timestamp()
    ) END AS before
"""  # noqa: S608 — nothing in it comes from outside


_FIND = f"""
    SELECT asked.id, asked.visits, served.model, {_ANSWER}
    FROM asked
    LEFT JOIN served ON served.bot = %(bot)s AND served.since IS NOT NULL AND served.until IS NULL
    LEFT JOIN answers
      ON answers.prompt_id = asked.id AND answers.model = served.model AND answers.sampling = %(sampling)s
"""  # noqa: S608 — nothing in it comes from outside


def visit(connection: Connection, bot: str, key: str, sampling: str) -> Visit:
    """Count a visit, and find the answer that the bot's current model has given to the prompt, in one statement."""
    return _found(
        connection,
        """
        WITH asked AS (
            INSERT INTO prompts AS known (bot, key, visits) VALUES (%(bot)s, %(key)s, 1)
            ON CONFLICT (bot, key) DO UPDATE SET visits = known.visits + 1, last_at = clock_timestamp()
            RETURNING id, visits
        ), counted AS (
            INSERT INTO play_days AS days (bot, day, what, number)
            VALUES (%(bot)s, (clock_timestamp() AT TIME ZONE 'UTC')::date, 'visit', 1)
            ON CONFLICT (bot, day, what) DO UPDATE SET number = days.number + 1
        )
        """,
        {"bot": bot, "key": key, "sampling": sampling},
    )


def show(connection: Connection, bot: str, key: str, sampling: str) -> Visit:
    """From now on, suggest this prompt to everybody; find its answer as a visit does, without counting one."""
    return _found(
        connection,
        """
        WITH asked AS (
            INSERT INTO prompts AS known (bot, key, shown) VALUES (%(bot)s, %(key)s, true)
            ON CONFLICT (bot, key) DO UPDATE SET shown = true
            RETURNING id, visits
        )
        """,
        {"bot": bot, "key": key, "sampling": sampling},
    )


def _found(connection: Connection, asked: str, given: dict[str, str]) -> Visit:
    row = connection.execute(asked + _FIND, given).fetchone()
    assert row is not None  # noqa: S101 — the statement returns what it inserts
    return Visit(row[0], row[1], row[2], Answer(*row[3:]) if row[3] else None)


def answer(connection: Connection, bot: str, id: UUID) -> Answer | None:
    """An answer of the bot's by its id."""
    with connection.cursor(row_factory=rows_of(Answer)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_ANSWER} FROM answers JOIN prompts ON prompts.id = answers.prompt_id
            WHERE answers.id = %(id)s AND prompts.bot = %(bot)s
            """,  # noqa: S608 — nothing in it comes from outside
            {"bot": bot, "id": id},
        ).fetchone()


def answer_to(connection: Connection, bot: str, prompt_id: int, model: str, sampling: str) -> Answer | None:
    """The answer that a model has given to a prompt, or gives."""
    with connection.cursor(row_factory=rows_of(Answer)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_ANSWER} FROM answers
            WHERE prompt_id = %(prompt)s AND model = %(model)s AND sampling = %(sampling)s
            """,  # noqa: S608 — nothing in it comes from outside
            {"bot": bot, "prompt": prompt_id, "model": model, "sampling": sampling},
        ).fetchone()


def claim(connection: Connection, prompt_id: int, model: str, sampling: str, holder: UUID) -> UUID | None:
    """Take on to write an answer; its id. None where somebody else writes it, or it is written."""
    with connection.transaction():
        row = connection.execute(
            """
            INSERT INTO answers AS known (id, prompt_id, model, sampling, state, holder, expires_at)
            VALUES (%(id)s, %(prompt)s, %(model)s, %(sampling)s, 'writing', %(holder)s,
                    clock_timestamp() + make_interval(secs => %(lasts)s))
            ON CONFLICT (prompt_id, model, sampling) DO UPDATE
            SET state = 'writing', phase = '', texts = '[]', why = NULL, askers = 1, holder = EXCLUDED.holder,
                expires_at = EXCLUDED.expires_at, asked_at = clock_timestamp()
            WHERE known.state = 'failed' OR (known.state = 'writing' AND known.expires_at <= clock_timestamp())
            RETURNING id, (SELECT bot FROM prompts WHERE id = %(prompt)s)
            """,
            {
                "id": uuid4(),
                "prompt": prompt_id,
                "model": model,
                "sampling": sampling,
                "holder": holder,
                "lasts": LASTS,
            },
        ).fetchone()
        if row is None:
            return None
        _count(connection, row[1], "prompt")
        return UUID(str(row[0]))


def renew(connection: Connection, id: UUID, holder: UUID, phase: str, texts: Sequence[dict[str, Any]]) -> bool:
    """Keep a claim, and tell how far it is; False where it was lost, or nobody waits for it any more."""
    row = connection.execute(
        """
        UPDATE answers
        SET phase = %s, texts = %s, expires_at = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND holder = %s AND state = 'writing' RETURNING askers
        """,
        [phase, Jsonb(list(texts)), LASTS, id, holder],
    ).fetchone()
    return row is not None and row[0] > 0


def write(connection: Connection, id: UUID, holder: UUID, texts: Sequence[dict[str, Any]]) -> bool:
    """The answer is written; False where the claim was lost, and another's answer counts."""
    return (
        connection.execute(
            """
            UPDATE answers SET state = 'written', phase = '', texts = %s, answered_at = clock_timestamp()
            WHERE id = %s AND holder = %s AND state = 'writing'
            """,
            [Jsonb(list(texts)), id, holder],
        ).rowcount
        == 1
    )


def fail(connection: Connection, id: UUID, holder: UUID, why: str) -> None:
    """The answer cannot be written; whoever asks next tries again."""
    connection.execute(
        """
        UPDATE answers SET state = 'failed', phase = '', texts = '[]', why = %s
        WHERE id = %s AND holder = %s AND state = 'writing'
        """,
        [why, id, holder],
    )


def join(connection: Connection, id: UUID) -> None:
    """One more waits for an answer that is being written."""
    connection.execute("UPDATE answers SET askers = askers + 1 WHERE id = %s AND state = 'writing'", [id])


def leave(connection: Connection, bot: str, id: UUID) -> bool:
    """One of those who wait for an answer does not want it any more; False where it is not being written."""
    return (
        connection.execute(
            """
            UPDATE answers SET askers = greatest(0, askers - 1)
            FROM prompts WHERE prompts.id = answers.prompt_id AND prompts.bot = %s AND answers.id = %s
              AND answers.state = 'writing'
            """,
            [bot, id],
        ).rowcount
        == 1
    )


def let_go(connection: Connection, holder: UUID) -> None:
    """End all claims of a process that ends. It may renew none of them afterwards."""
    connection.execute(
        """
        UPDATE answers SET state = 'failed', phase = '', texts = '[]', why = %s
        WHERE holder = %s AND state = 'writing'
        """,
        [LEFT, holder],
    )


def suggest(connection: Connection, bot: str, prefix: str, limit: int) -> list[str]:
    """Prompts that begin so, those most asked first: an operator's own, and what several people asked."""
    pattern = prefix.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    rows = connection.execute(
        """
        SELECT key FROM prompts
        WHERE bot = %s AND key LIKE %s AND key <> '' AND (shown OR visits >= %s)
        ORDER BY visits DESC, key LIMIT %s
        """,
        [bot, pattern, POPULAR, limit],
    ).fetchall()
    return [key for (key,) in rows]


def think(connection: Connection, bot: str, id: UUID, place: int, opinion: str, reason: str = "") -> bool:
    """Note what somebody thinks of a text; False where the answer has no such text."""
    with connection.transaction():
        found = connection.execute(
            """
            INSERT INTO opinions (answer_id, place, opinion, reason)
            SELECT answers.id, %(place)s, %(opinion)s, %(reason)s
            FROM answers JOIN prompts ON prompts.id = answers.prompt_id
            WHERE answers.id = %(id)s AND prompts.bot = %(bot)s AND jsonb_array_length(answers.texts) > %(place)s
            """,
            {"id": id, "bot": bot, "place": place, "opinion": opinion, "reason": reason},
        ).rowcount
        if found:
            _count(connection, bot, opinion)
        return found == 1


def _count(connection: Connection, bot: str, what: str) -> None:
    connection.execute(
        """
        INSERT INTO play_days AS days (bot, day, what, number)
        VALUES (%s, (clock_timestamp() AT TIME ZONE 'UTC')::date, %s, 1)
        ON CONFLICT (bot, day, what) DO UPDATE SET number = days.number + 1
        """,
        [bot, what],
    )


def counts(connection: Connection, bot: str, days: int | None = None) -> dict[str, int]:
    """What → how often, of visits, prompts that were new, likes and reports; in the last `days` days, or ever."""
    return dict(
        connection.execute(
            """
            SELECT what, sum(number)::bigint FROM play_days
            WHERE bot = %(bot)s
              AND (%(days)s::int IS NULL OR day > (clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::int)
            GROUP BY what
            """,
            {"bot": bot, "days": days},
        ).fetchall()
    )


def canonical(sampling: dict[str, Any]) -> str:
    """The same string for the same way to sample."""
    return json.dumps(sampling, sort_keys=True, separators=(",", ":"))
