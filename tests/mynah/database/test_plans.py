"""No question of a poster, a curator or `mynah status` reads a whole table: with 100,000 rows, each takes milliseconds.

How long each takes, `make bench PART=posting` prints.
"""

from typing import Any, ClassVar

import psycopg

from mynah.database.connection import Connection
from tests.bench.many import fill
from tests.bench.posting import questions

ALL_ROWS = {"count states"}  # it counts them all


class Explained(psycopg.Cursor[Any]):
    """Keeps the plan of each statement that it runs."""

    plans: ClassVar[list[str]] = []

    def execute(self, query: Any, params: Any = None, **keywords: Any) -> Any:
        if str(query).split(None, 1)[0] in ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE"):
            plan = psycopg.Cursor(self.connection).execute(b"EXPLAIN " + query.encode(), params)
            self.plans.append("\n".join(line for (line,) in plan))
        return super().execute(query, params, **keywords)


def test_no_question_reads_a_whole_table(connection: Connection) -> None:
    fill(connection, 10_000)
    connection.cursor_factory = Explained
    asked = 0
    for name, ask in questions(connection):
        Explained.plans.clear()
        ask()
        assert Explained.plans
        if name not in ALL_ROWS:
            asked += 1
            for plan in Explained.plans:
                assert "Seq Scan on tweets" not in plan, f"{name}:\n{plan}"
                assert "Seq Scan on posts" not in plan, f"{name}:\n{plan}"
    assert asked > 10
