"""Which model is current: never two, never two changes at once, and a kill between intention and deed is seen."""

from pathlib import Path

import psycopg
import pytest

from mynah.database import served
from mynah.database.connection import Connection, connect
from mynah.errors import MynahError


def change(connection: Connection, model: str) -> None:
    served.carry_out(connection, served.ask(connection, "bot", model, "better").id)


def current(connection: Connection) -> str | None:
    row = served.current(connection, "bot")
    return row and row.model


def previous(connection: Connection) -> str | None:
    row = served.previous(connection, "bot")
    return row and row.model


def test_an_intention_comes_before_the_deed(database_url: str, tmp_path: Path) -> None:
    with connect(database_url, tmp_path, "ana") as connection:
        change(connection, "a")
        asked = served.ask(connection, "bot", "b", "dev loss 2.1 < 2.3")
    with connect(database_url, tmp_path, "bea") as connection:  # the one that asked was killed
        assert current(connection) == "a"
        assert served.pending(connection, "bot") == asked
        assert (asked.model, asked.who, asked.since) == ("b", "ana", None)
        served.carry_out(connection, asked.id)
        assert current(connection) == "b"
        assert served.pending(connection, "bot") is None
        newest, oldest = served.history(connection, "bot", 10)
        assert newest.since
        assert oldest.until
        assert oldest.until <= newest.since
        assert newest.until is None


def test_two_changes_are_never_pending(connection: Connection) -> None:
    served.ask(connection, "bot", "a", "first")
    served.ask(connection, "other", "a", "another bot's")
    with pytest.raises(MynahError, match=r"^a change of bot's model to a, begun by \S+ at .* has not ended") as error:
        served.ask(connection, "bot", "b", "second")
    assert "\n" not in str(error.value)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO served (bot, model, why) VALUES ('bot', 'b', 'second')")


def test_two_models_are_never_current(connection: Connection) -> None:
    change(connection, "a")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO served (bot, model, why, since) VALUES ('bot', 'b', 'too', now())")


def test_what_is_withdrawn_changes_nothing(connection: Connection) -> None:
    change(connection, "a")
    asked = served.ask(connection, "bot", "b", "new")
    served.withdraw(connection, asked.id, "the canary was too slow")
    assert (current(connection), served.pending(connection, "bot")) == ("a", None)
    with pytest.raises(MynahError, match="not pending"):
        served.carry_out(connection, asked.id)
    assert current(connection) == "a"  # and not none: the two writes are one transaction
    withdrawn = served.history(connection, "bot", 1)[0]
    assert (withdrawn.why, withdrawn.withdrawn_why) == ("new", "the canary was too slow")
    assert previous(connection) is None


def test_the_way_back(connection: Connection) -> None:
    assert previous(connection) is None
    for model in ("a", "b", "b", "c"):
        change(connection, model)
    assert previous(connection) == "b"
    change(connection, "b")  # rolled back
    served.refuse(connection, "bot", "c", "rolled back from")
    assert previous(connection) == "a"
    served.accept(connection, "bot", "c")
    assert previous(connection) == "c"


def test_refused_models(connection: Connection) -> None:
    served.refuse(connection, "bot", "a", "slow")
    served.refuse(connection, "bot", "a", "wrong")
    served.refuse(connection, "bot", "b", "rolled back from")
    served.refuse(connection, "other", "c", "slow")
    assert served.refused(connection, "bot") == {"a": "wrong", "b": "rolled back from"}
    served.accept(connection, "bot", "a")
    assert served.refused(connection, "bot") == {"b": "rolled back from"}
