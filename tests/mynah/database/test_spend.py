"""What sources cost: reserved before, settled after, never more than the cap, by the database's clock."""

import threading
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynah.database import spend
from mynah.database.connection import Connection, connect
from mynah.database.spend import Reservation, Sent

ONE = Decimal(1)


def reserve(connection: Connection, request: str = "page 1", most: Decimal = ONE, cap: int = 5) -> Reservation | None:
    return spend.reserve(connection, "demo", "birds", request, Decimal(cap), lambda rest: Sent({"size": 100}, most))


def reserved(connection: Connection, request: str = "page 1", most: Decimal = ONE) -> Reservation:
    found = reserve(connection, request, most)
    assert found
    return found


def test_no_more_is_reserved_than_the_cap(connection: Connection) -> None:
    assert reserved(connection, "page 1", Decimal("3.2")).sent == {"size": 100}
    assert reserve(connection, "page 2", Decimal("1.800001")) is None
    assert spend.spent(connection, "demo") == Decimal("3.2")
    assert reserve(connection, "page 2", Decimal("1.8"))
    assert reserve(connection, "page 3", Decimal("0.000001")) is None
    assert spend.reserve(connection, "another", "birds", "page 3", ONE, lambda rest: Sent({}, rest))


def test_what_it_did_cost_counts_once_it_is_known(connection: Connection) -> None:
    first = reserved(connection)
    spend.settle(connection, first.id, Decimal("0.25"))
    spend.settle(connection, first.id, Decimal("0.75"))  # told again after a kill
    assert spend.spent(connection, "demo") == Decimal("0.25")
    assert reserved(connection).id != first.id


@pytest.mark.usefixtures("within_a_day")
@pytest.mark.timeout(1500)  # it may wait
def test_a_reservation_that_was_left_is_taken_up_on_the_same_day(connection: Connection) -> None:
    first = reserved(connection)
    again = spend.reserve(connection, "demo", "birds", "page 1", Decimal(0), lambda rest: None)
    assert again == first
    assert reserved(connection, "page 2").id != first.id
    assert spend.reserve(connection, "demo", "bees", "page 1", Decimal(5), lambda rest: Sent({}, ONE)) != first
    assert spend.spent(connection, "demo") == 3


def test_on_another_day_it_counts_in_full(connection: Connection) -> None:
    first = reserved(connection)
    connection.execute("UPDATE spend SET reserved_at = reserved_at - interval '1 day'")
    assert reserved(connection).id != first.id


def test_another_month_does_not_count(connection: Connection) -> None:
    reserved(connection, most=Decimal(5))
    assert reserve(connection, "page 2") is None
    connection.execute("UPDATE spend SET reserved_at = reserved_at - interval '31 days'")
    assert spend.spent(connection, "demo") == 0
    assert reserve(connection, "page 2")


def test_of_many_at_once_only_as_many_as_the_cap_pays_for(database_url: str, tmp_path: Path) -> None:
    got: list[bool] = []
    ready = threading.Barrier(6)

    def taker(number: int) -> None:
        with connect(database_url, tmp_path) as own:
            ready.wait()
            got.append(reserve(own, f"page {number}", cap=2) is not None)

    threads = [threading.Thread(target=taker, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 4 + [True] * 2


STEPS = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 100), st.sampled_from(["kill", "keep", "day"])))


@given(STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_service_charges_is_never_more_than_what_is_counted(
    connection: Connection, steps: list[tuple[str, int, str]]
) -> None:
    """A service that charges a post once a day; what is not kept was killed."""
    connection.execute("TRUNCATE spend")
    charged: set[tuple[int, UUID, int]] = set()
    day = 0
    for request, posts, then in steps:
        found = reserve(connection, request, cap=2)
        if found:
            charged |= {(day, found.id, number) for number in range(posts)}
            assert len(charged) * Decimal("0.01") <= spend.spent(connection, "demo") <= 2
        if found and then == "keep":
            spend.settle(connection, found.id, Decimal(_charged(charged, found.id)) / 100)
        if then == "day":  # within the month, so that all of it counts
            connection.execute("UPDATE spend SET request = request || ' of yesterday'")
            day += 1


def _charged(charged: set[tuple[int, UUID, int]], id: UUID) -> int:
    return sum(one[1] == id for one in charged)
