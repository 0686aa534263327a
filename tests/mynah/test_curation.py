"""What a person may decide about a tweet in whatever state: it is done, or one line says why not."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.accounts import Page, Posted, Published
from jobs.post import post
from mynah import curation
from mynah.bot import Bot, FileSource, Judge
from mynah.database import STATES, posts, tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError, UsageError
from mynah.recitation import Copied
from mynah.rules import judge, may_post

BOT = Bot(name="demo", sources={"none": FileSource(url="none.txt")})
ACTIONS = ("approved", "rejected", "candidate", "edit")


def add(connection: Connection, text: str = "a text", state: str = "candidate") -> int:
    tweets.add_tweets(connection, "demo", [NewTweet(text, state=state, reason="dull" if state == "rejected" else None)])
    return int((connection.execute("SELECT max(id) FROM tweets").fetchone() or (0,))[0])


def brought_to(connection: Connection, state: str) -> int:
    """A tweet in this state, as a poster brings it there; `refused`: rejected by an account, though approved."""
    if state in ("candidate", "approved", "rejected"):
        return add(connection, state=state)
    id = add(connection, state="approved")
    row = posts.claim(connection, "demo", "main")
    assert row
    match state:
        case "posted":
            posts.record(connection, row.id, "1", "https://example.com/1")
        case "unknown":
            posts.doubt(connection, row.id, "the answer was lost")
        case "refused":
            posts.refuse(connection, row.id, "bad text")
        case "returned":
            posts.give_back(connection, row.id, "the limit is reached")
    return id


def act(connection: Connection, action: str, id: int, revision: int | None = None, text: str = "other") -> Any:
    if action == "edit":
        return curation.edit(BOT, connection, id, text, revision)
    return curation.decide(BOT, connection, [id], action, "no" if action == "rejected" else None, revision)


def now(connection: Connection, id: int) -> tweets.Tweet:
    tweet = tweets.get_tweet(connection, "demo", id)
    assert tweet
    return tweet


ONE_LINE = {
    ("posting", None): "is being posted: `mynah post demo` finds out what became of it",
    ("posted", None): "is posted (https://example.com/1): too late for that",
    ("unknown", "candidate"): "look, then approve it if it was not, to have it posted, or reject it",
    ("unknown", "edit"): "look, then approve it if it was not, to have it posted, or reject it",
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", [*STATES, "refused", "returned"])
def test_every_action_on_every_state_is_done_or_one_line(connection: Connection, state: str, action: str) -> None:
    id = brought_to(connection, state)
    before = now(connection, id)
    wanted = ONE_LINE.get((state, action)) or ONE_LINE.get((state, None))
    if wanted:
        with pytest.raises(MynahError) as error:
            act(connection, action, id)
        assert wanted in str(error.value)
        assert "\n" not in str(error.value)
        assert now(connection, id) == before
        return
    act(connection, action, id)
    after = now(connection, id)
    if action == "edit":
        assert after.text == "other"
    else:
        assert after.judgement == after.state == action


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from([*STATES, "refused", "returned"]),
    actions=st.lists(
        st.tuples(
            st.sampled_from(ACTIONS), st.sampled_from([None, 0, -1, 1]), st.sampled_from(["other", "a  text", ""])
        )
    ),
)
def test_whatever_people_do_is_never_a_traceback(
    connection: Connection, state: str, actions: list[tuple[str, int | None, str]]
) -> None:
    connection.execute("TRUNCATE tweets CASCADE")
    id = brought_to(connection, state)
    for action, off, text in actions:
        revision = None if off is None else now(connection, id).revision + off
        before = now(connection, id)
        error = None
        try:
            act(connection, action, id, revision, text)
        except MynahError as refused:
            error = refused
        assert error or not off  # a stale revision is always refused
        if error:
            assert "\n" not in str(error)
            assert now(connection, id) == before


def test_a_rejection_holds_for_every_account(connection: Connection) -> None:
    """One account refused it; the person who rejects it then speaks of all of them."""
    id = brought_to(connection, "refused")
    assert posts.count_claimable(connection, "demo", "news") == 1
    act(connection, "rejected", id)
    assert posts.count_claimable(connection, "demo", "news") == 0


def test_a_stale_revision_is_refused_with_who_decided(connection: Connection) -> None:
    id = add(connection)
    connection.execute("SELECT set_config('mynah.user', 'ana', false)")
    act(connection, "rejected", id, revision=1)
    for action in ACTIONS:
        with pytest.raises(MynahError, match=rf"tweet {id} was rejected by ana \(no\) meanwhile: look at it again"):
            act(connection, action, id, revision=1)
    act(connection, "approved", id, revision=2)


def test_a_text_that_was_checked_is_the_text_that_is_approved(
    connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = add(connection)

    def slow(text: str, rules: Judge) -> None:
        monkeypatch.undo()
        import psycopg

        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("UPDATE tweets SET text = 'see example.com'")

    monkeypatch.setattr(curation, "may_post", slow)
    with pytest.raises(MynahError, match="was edited by .* meanwhile"):
        act(connection, "approved", id)
    assert now(connection, id).state == "candidate"


@pytest.mark.parametrize("text", ["see example.com", "thank you @jack", "x" * 281, " \n", "a\ufeffb", "a\ud800"])
def test_what_may_not_be_posted_is_not_approved(connection: Connection, text: str) -> None:
    id = add(connection)
    with pytest.raises(UsageError, match=f"tweet {id} cannot be posted: it .*; mend it with `mynah curate demo edit"):
        act(connection, "edit", id, text=text)
    if text.isprintable() or text == "a\ufeffb":
        connection.execute("UPDATE tweets SET text = %s", [text])
        with pytest.raises(UsageError, match="cannot be posted: it "):
            act(connection, "approved", id)


@pytest.mark.parametrize("text", ["one of two", " one  of\ntwo\u00a0", "one\u2028of two"])
def test_an_edit_to_a_text_that_the_bot_has_is_one_line(connection: Connection, text: str) -> None:
    add(connection, "one of two")
    id = add(connection, "another")
    with pytest.raises(MynahError, match=f"tweet {id} cannot have that text: another tweet of demo has it already"):
        act(connection, "edit", id, text=text)
    assert now(connection, id).text == "another"


def test_white_space_of_its_own_text_may_change(connection: Connection) -> None:
    id = add(connection, "one of two")
    act(connection, "edit", id, text="one\nof two")
    assert now(connection, id).text == "one\nof two"


def test_all_or_none(connection: Connection) -> None:
    first, second = add(connection, "one"), add(connection, "see example.com")
    with pytest.raises(UsageError):
        curation.decide(BOT, connection, [first, second], "approved", None)
    with pytest.raises(MynahError, match="bot demo has no tweet 99"):
        curation.decide(BOT, connection, [first, 99], "approved", None)
    assert tweets.count_states(connection, "demo")["approved"] == 0


def test_the_history_of_a_tweet(connection: Connection) -> None:
    id = add(connection, "a text")
    connection.execute("SELECT set_config('mynah.user', 'ana', false)")
    act(connection, "edit", id, text="a better text")
    curation.decide(BOT, connection, [id], "rejected", "off topic")
    shown = curation.history(BOT, connection, id)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = shown.summary().splitlines()
    assert [line[18:] for line in lines[:-1]] == [
        "written by a person: a text",
        "edited by ana: a better text",
        "rejected by ana (off topic)",
    ]
    assert all(line.startswith(day) for line in lines[:-1])
    assert lines[-1] == "now revision 3, rejected (off topic)"
    assert [decision.new_text for decision in shown.decisions] == ["a better text"] * 2


class Takes:
    """An account that takes everything."""

    name = "the account"
    page_size = (1, 1)
    read_cost = Decimal(0)

    def cost(self, text: str) -> Decimal:
        return Decimal(0)

    def record(self, row: posts.Post) -> None: ...

    def own_posts(self, *_: object) -> Page:
        return Page([], None)

    def long(self, text: str) -> None: ...

    def post(self, row: posts.Post) -> Posted:
        return Posted(Published(str(row.id), f"https://example.com/{row.id}"))


WORDS = st.sampled_from(
    [
        *("the", "king", "sells", "old", "shoes", "example.com", "foo.jp/bar", "https://t.co/x", "me@home.org", "#tag"),
        *(
            "end.So",
            "@",
            "@jack",
            "＠jack",
            "日本@jack",
            "漢" * 60,
            "x" * 100,
            "\ufeff",
            "\ud800",
            "\0",
            "\u200b",
            "😀",
        ),
    ]
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=8).map(" ".join)),
    links=st.booleans(),
    mentions=st.booleans(),
    max_weight=st.sampled_from([30, 280, 1000]),
)
def test_what_the_judge_accepts_is_approved_and_posted(
    connection: Connection, text: str, links: bool, mentions: bool, max_weight: int
) -> None:
    """And what it rejects by a rule of posting is neither approved nor posted."""
    rules = Judge(
        min_words=1, min_variety=0, max_copied=1, allow_links=links, allow_mentions=mentions, max_weight=max_weight
    )
    bot = BOT.model_copy(update={"judge": rules})
    accepted = judge(text, rules, Copied.of([])).rejection is None
    if not accepted and not (may_post(text, rules) and storable(text)):
        return
    connection.execute("TRUNCATE tweets RESTART IDENTITY CASCADE")
    assert tweets.add_tweets(connection, "demo", [NewTweet(text)]) == 1
    approve: Callable[[], Any] = lambda: curation.decide(bot, connection, [1], "approved", None)  # noqa: E731
    if accepted:
        approve()
        assert post(bot, "main", connection, Takes(), pause=0).outcome == "posted"  # type: ignore[arg-type]
    else:
        with pytest.raises(UsageError):
            approve()
        connection.execute("UPDATE tweets SET state = 'approved'")
        assert post(bot, "main", connection, Takes(), pause=0).outcome == "nothing"  # type: ignore[arg-type]


def storable(text: str) -> bool:
    return text.strip(" ") != "" and "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)
