"""One account: what is asked for next, and what an answer changes."""

from decimal import Decimal

from mynah.bot.sources.x import XSource
from scrapers.x import walk


def test_a_page_without_a_post_of_ours_is_passed() -> None:
    """X leaves retweets out of a page, and tells by its token that there is more."""
    source = XSource(kind="x", accounts=["anna"], retweets=False)
    state = {"id": "1", "through": 5}
    sent = {"until_id": "900"}
    step = walk.step(source, "anna", state, sent, {"meta": {"result_count": 0, "next_token": "p7"}}, 0)
    assert (step.token, step.done, step.state) == ("p7", False, state)
    asked = walk.parameters(source, state, "p7", 1.7e9, Decimal(1))
    assert asked
    assert (asked.parameters["pagination_token"], asked.parameters["since_id"]) == ("p7", "5")


def test_a_walk_whose_end_is_empty_is_asked_once_more() -> None:
    source = XSource(kind="x", accounts=["anna"])
    state = {"id": "1", "newest": 9 << 40, "before": 7 << 40, "seen": 100}
    sent = {"until_id": str(7 << 40)}
    nothing = {"meta": {"result_count": 0}}
    step = walk.step(source, "anna", state, sent, nothing, 0)
    assert (step.done, step.state) == (True, {**state, "empty": 1})
    step = walk.step(source, "anna", step.state, sent, nothing, 86400.0)
    assert step.state == {"id": "1", "through": 9 << 40, "daily": 100.0, "gave": 1.0, "at": 1.0}


def test_x_begins_anew_where_it_does_not_reach_back() -> None:
    source = XSource(kind="x", accounts=["anna"])
    state = {"id": "1", "newest": 90, "before": 70, "seen": 100, "empty": 1}
    body = {"data": [{"id": "90", "text": "x"}], "meta": {"result_count": 1, "next_token": "p90"}}
    assert walk.step(source, "anna", state, {"until_id": "70"}, body, 0).documents == []
