"""Migrating: all or nothing, whoever else does it too, and with every row that 0.2.0 left."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from mynah.database import STATES, posts
from mynah.database.connection import Connection, connect, reach
from mynah.database.decisions import decisions
from mynah.database.migrations import files, migrate, missing

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIVE = {"posting": "claimed", "posted": "posted", "unknown": "unknown"}


def test_several_may_start_at_once(old_url: str, tmp_path: Path) -> None:
    done: list[list[str]] = []
    ready = threading.Barrier(6)

    def start() -> None:
        with reach(old_url, tmp_path) as connection:
            ready.wait()
            done.append(migrate(connection))
            connect(old_url, tmp_path).close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [[], [], [], [], [], [file.name for file in files()][2:]]


KILLED = """
import os, pathlib, sys
from mynah.database import migrations
from mynah.database.connection import reach

class Slow:
    def __init__(self, file): self.file, self.name = file, file.name
    def read_text(self, encoding): return self.file.read_text(encoding) + "; SELECT pg_sleep(600)"

found = migrations.files()
migrations.files = lambda: [Slow(file) if file.name.startswith("0003") else file for file in found]
migrations.migrate(reach(sys.argv[1], pathlib.Path(".")))
"""


def test_a_kill_in_the_middle_leaves_nothing(old_url: str, tmp_path: Path) -> None:
    with reach(old_url, tmp_path) as connection:
        before = schema(connection)
        process = subprocess.Popen([sys.executable, "-c", KILLED, old_url])
        at_work = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        while not (backend := connection.execute(at_work).fetchone()):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", backend)
        assert schema(connection) == before
        assert "0003_history.sql" in missing(connection)
        assert migrate(connection)
        assert missing(connection) == []


def schema(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT oid, proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()


def put(connection: Connection, text: str, state: str, slot: datetime | None = None) -> int:
    """A row as 0.2.0 leaves it in `state`; its id."""
    connection.execute(
        """
        INSERT INTO tweets (bot, text, state, reason, claimed_at, posted_at, post_id, post_url, score)
        SELECT 'demo', t.text, s, CASE WHEN s IN ('rejected', 'unknown') THEN 'why' END,
            CASE WHEN s IN ('posting', 'posted', 'unknown') THEN %(noon)s::timestamptz END,
            CASE s WHEN 'posted' THEN %(noon)s::timestamptz + interval '1 minute' END,
            CASE s WHEN 'posted' THEN 'id of ' || md5(t.text) END,
            CASE s WHEN 'posted' THEN 'https://x.com/' || md5(t.text) END, 0.5
        FROM (VALUES (%(text)s, %(state)s)) AS t (text, s)
        """,
        {"text": text, "state": state, "noon": NOON},
    )
    (id,) = connection.execute("SELECT max(id) FROM tweets").fetchone() or (0,)
    if slot:
        connection.execute("INSERT INTO post_slots (bot, due, tweet_id) VALUES ('demo', %s, %s)", [slot, id])
    return int(id)


def old_rows(connection: Connection) -> dict[int, dict[str, Any]]:
    """The tweets as 0.2.0 sees them."""
    columns = "id, bot, text, state, reason, prompt, model, score, scores::text, created_at, decided_at, claimed_at"
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        rows = cursor.execute(f"SELECT {columns}, posted_at, post_id, post_url FROM tweets").fetchall()
    return {row["id"]: row for row in rows}


def slots(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT due, tweet_id FROM post_slots ORDER BY due").fetchall()


def test_what_was_posted_becomes_posts_of_the_main_account(old_url: str, tmp_path: Path) -> None:
    with reach(old_url, tmp_path) as connection:
        ids = {state: put(connection, f"a {state} one", state) for state in STATES}
        with_slot = {
            state: put(connection, f"{state} for its time", state, NOON + timedelta(hours=hour))
            for hour, state in enumerate(STATES)
        }
        before, due = old_rows(connection), slots(connection)
        migrate(connection)
        assert (old_rows(connection), slots(connection)) == (before, due)

        made = {post.tweet_id: post for post in posts.list_posts(connection, "demo", 99)}
        assert set(made) == {with_slot[state] for state in LIVE} | {ids[state] for state in LIVE}
        for id, post in made.items():
            row = before[id]
            assert (post.account, post.state, post.attempts) == ("main", LIVE[row["state"]], 1)
            assert (post.text, post.claimed_at, post.posted_at) == (row["text"], NOON, row["posted_at"])
            assert (post.post_id, post.post_url) == (row["post_id"], row["post_url"])
            assert post.reason == ("why" if row["state"] == "unknown" else None)
            assert post.slot == next((due for due, tweet in due if tweet == id), None)
        judged = dict(connection.execute("SELECT state, judgement FROM tweets").fetchall())
        assert judged == {state: state for state in STATES} | dict.fromkeys(LIVE, "approved")
        assert connection.execute("SELECT count(*) FROM decisions").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM tweets WHERE written <> text OR revision <> 1").fetchone() == (
            0,
        )


def test_doubles_are_kept_and_one_of_them_may_be_posted(old_url: str, tmp_path: Path) -> None:
    furthest = ("posted", "posting", "unknown", "approved", "candidate", "rejected")
    with reach(old_url, tmp_path) as connection:
        pairs = {
            (first, second): (
                put(connection, f"{first} and {second}", first),
                put(connection, f"{first} \u2003 and {second}\n", second),
            )
            for first, second in itertools.product(STATES, STATES)
        }
        before = old_rows(connection)
        migrate(connection)
        after = old_rows(connection)
        assert {id: row["text"] for id, row in after.items()} == {id: row["text"] for id, row in before.items()}
        keys = dict(connection.execute("SELECT id, text_key FROM tweets").fetchall())
        for states, ids in pairs.items():
            first = ids[min((0, 1), key=lambda place: furthest.index(states[place]))]
            (second,) = set(ids) - {first}
            assert keys[first] is not None
            assert keys[second] is None
            assert after[first] == before[first]
            if before[second]["state"] in ("candidate", "approved"):
                why = f"tweet {first} is the same text but for white space"
                assert (after[second]["state"], after[second]["reason"]) == ("rejected", why)
                (decision,) = decisions(connection, "demo", second)
                assert (decision.who, decision.why) == ("migration 0003", why)
            else:
                assert after[second] == before[second]

        claimed = []
        for account in ("main", "main", "other"):
            while post := posts.claim(connection, "demo", account):
                claimed.append((account, " ".join(post.text.split())))
        assert len(claimed) == len(set(claimed))
        # Approved alone or with a lesser one: both states approved, candidate or rejected, one of them approved.
        lesser = {"approved", "candidate", "rejected"}
        to_main = {f"{a} and {b}" for a, b in pairs if {a, b} <= lesser and "approved" in (a, b)}
        assert {text for account, text in claimed if account == "main"} == to_main


def test_from_nothing(postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE nothing")
    with reach(psycopg.conninfo.make_conninfo(postgres, dbname="nothing"), tmp_path) as connection:
        assert missing(connection) == migrate(connection) == [file.name for file in files()]
        assert migrate(connection) == []
