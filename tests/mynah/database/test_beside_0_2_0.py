"""0.2.0 at work on a migrated database, beside this version: what one posts the other does not."""

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mynah.database import posts, queue
from mynah.database.connection import Connection, reach
from mynah.database.migrations import migrate
from mynah.database.posts import Post
from mynah.database.tweets import NewTweet, Stale, add_tweets, count_states, decide, edit, get_tweet
from mynah.errors import MynahError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def approve(connection: Connection, *texts: str) -> None:
    add_tweets(connection, "demo", [NewTweet(text, state="approved") for text in texts])


def claim(connection: Connection, account: str = "main", slot: datetime | None = None) -> Post:
    post = posts.claim(connection, "demo", account, slot)
    assert post
    return post


def record(connection: Connection, post: Post) -> None:
    posts.record(connection, post.id, f"{post.id}", f"https://x.com/i/web/status/{post.id}")


def only_post(connection: Connection) -> Post:
    (post,) = posts.list_posts(connection, "demo", 9)
    return post


def outbox(folder: Path) -> list[str]:
    file = folder / "home/outbox/demo.jsonl"
    return [json.loads(line)["text"] for line in file.read_text().splitlines()] if file.exists() else []


# 0.2.0's whole poster, in a process of its own.


def test_its_poster_posts_what_this_version_has_not(
    connection: Connection, old_command: Command, tmp_path: Path
) -> None:
    approve(connection, *(f"text {number}" for number in range(6)))
    kept = [claim(connection) for _ in range(3)]
    record(connection, kept[0])
    posts.doubt(connection, kept[1].id, "the answer was lost")
    posts.refuse(connection, kept[2].id, "it says 400")
    for expected in (["posted"] * 3, ["nothing"]):
        for outcome in expected:
            done = old_command("post", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["outcome"] == outcome
    mine = {post.text for post in kept}
    assert sorted(outbox(tmp_path)) == sorted({f"text {number}" for number in range(6)} - mine)
    assert {post.text for post in posts.list_posts(connection, "demo", 9, state="posted")} == {
        kept[0].text,
        *outbox(tmp_path),
    }
    assert posts.claim(connection, "demo", "main") is None


def test_its_poster_gives_way_to_one_at_work(connection: Connection, old_command: Command) -> None:
    approve(connection, "one")
    with posts.poster_lock(connection, "demo", "main"):
        claim(connection)
        assert json.loads(old_command("post", "--json").stdout)["outcome"] == "busy"
    assert only_post(connection).state == "claimed"


def test_its_poster_and_this_version_go_by_one_schedule(connection: Connection, old_command: Command) -> None:
    approve(connection, "one", "two", "three")
    now = datetime.now(UTC)
    slot = now.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    first = claim(connection, slot=slot)
    record(connection, first)
    done = json.loads(old_command("post", "--scheduled", "--json").stdout)
    assert done["outcome"] == "nothing"
    assert f"is made already: tweet {first.tweet_id} is posted" in done["message"]

    connection.execute("UPDATE posts SET slot = slot - interval '1 year'")
    assert json.loads(old_command("post", "--scheduled", "--json").stdout)["outcome"] == "posted"
    made = posts.slot_post(connection, "demo", "main", slot)
    assert made
    assert made.tweet_id != first.tweet_id
    assert posts.claim(connection, "demo", "main", slot) is None


def test_its_poster_settles_what_this_version_left(
    connection: Connection, old_command: Command, tmp_path: Path
) -> None:
    approve(connection, "one")
    left = claim(connection)
    done = old_command("post", "--json")
    assert "had not been posted: approved again" in done.stderr
    assert outbox(tmp_path) == ["one"]
    post = only_post(connection)
    assert (post.id, post.state, post.attempts) == (left.id, "posted", 2)


def test_its_curator_decides(connection: Connection, old_command: Command) -> None:
    add_tweets(connection, "demo", [NewTweet("one"), NewTweet("two")])
    assert old_command("curate", "approve", "1").returncode == 0
    assert old_command("curate", "edit", "1", "One.").returncode == 0
    assert old_command("curate", "reject", "2").returncode == 0
    assert claim(connection).text == "One."
    assert posts.claim(connection, "demo", "main") is None


# What its functions report.


def old_claim(old: ModuleType, connection: Connection, slot: datetime | None = None) -> Any:
    tweet = old.claim(connection, "demo", slot)
    assert tweet
    return tweet


@pytest.mark.parametrize(
    ("report", "state", "reason"),
    [
        ("UPDATE tweets SET reason = reason", "claimed", None),
        ("release approved", "returned", None),
        ("release rejected", "refused", "it says 400"),
        ("release unknown", "unknown", "it says 400"),
        ("record", "posted", None),
        ("release unknown, record", "posted", None),
        ("release unknown, decide approved", "returned", None),
        ("release unknown, decide rejected", "returned", "no"),
        ("release rejected, decide approved", "returned", None),
    ],
)
def test_what_it_reports_arrives(
    old: ModuleType, connection: Connection, report: str, state: str, reason: str | None
) -> None:
    approve(connection, "one")
    tweet = old_claim(old, connection, NOON)
    for step in report.split(", "):
        match step.split():
            case ["release", to]:
                old.release(connection, tweet.id, to, None if to == "approved" else "it says 400")
            case ["record"]:
                old.record_post(connection, tweet.id, "9", "https://x.com/i/web/status/9")
            case ["decide", to]:
                assert old.decide(connection, "demo", tweet.id, to, "no" if to == "rejected" else None)
    post = only_post(connection)
    assert (post.account, post.state, post.reason, post.attempts) == ("main", state, reason, 1)
    live = state in ("claimed", "unknown", "posted")
    assert post.slot == (NOON if live else None)
    assert (posts.slot_post(connection, "demo", "main", NOON) is not None) == live
    if state == "posted":
        assert (post.post_id, post.post_url) == ("9", "https://x.com/i/web/status/9")
        assert post.posted_at
    claimed = posts.claim(connection, "demo", "main", NOON)
    assert (claimed is not None) == (state == "returned" and reason is None)
    if claimed:
        assert claimed.attempts == 2


@pytest.mark.parametrize(
    ("report", "state"),
    [
        (None, "posting"),
        (lambda connection, post: record(connection, post), "posted"),
        (lambda connection, post: posts.doubt(connection, post.id, "lost"), "unknown"),
        (lambda connection, post: posts.refuse(connection, post.id, "it says 400"), "rejected"),
        (lambda connection, post: posts.give_back(connection, post.id), "approved"),
    ],
)
@pytest.mark.parametrize("account", ["main", "news"])
def test_what_this_version_does_shows_there(
    old: ModuleType,
    connection: Connection,
    report: Callable[[Connection, Post], None] | None,
    state: str,
    account: str,
) -> None:
    approve(connection, "one")
    post = claim(connection, account, NOON)
    if report:
        report(connection, post)
    tweet = old.get_tweet(connection, "demo", 1)
    assert tweet.state == state
    live = state in ("posting", "posted", "unknown")
    made = old.slot_tweet(connection, "demo", NOON)
    assert made == (tweet if live and account == "main" else None)
    assert (old.claim(connection, "demo") is None) == (state != "approved")


def test_it_reports_across_the_migration(old: ModuleType, old_url: str, tmp_path: Path) -> None:
    with reach(old_url, tmp_path) as connection:
        old.add_tweets(connection, "demo", [old.NewTweet(text, state="approved") for text in ("one", "two")])
        done, given_back = old.claim(connection, "demo", NOON), old.claim(connection, "demo")
        migrate(connection)
        assert posts.claim(connection, "demo", "main") is None
        old.record_post(connection, done.id, "9", "https://x.com/i/web/status/9")
        old.release(connection, given_back.id, "approved", None)
        posted = posts.slot_post(connection, "demo", "main", NOON)
        assert posted
        assert (posted.tweet_id, posted.state, posted.post_id) == (done.id, "posted", "9")
        assert claim(connection).tweet_id == given_back.id


def test_two_bots_on_one_account_with_one_text(old: ModuleType, connection: Connection) -> None:
    for bot in ("demo", "other"):
        add_tweets(connection, bot, [NewTweet("one", state="approved")])
    posts.record(connection, claim(connection).id, "9", "https://x.com/i/web/status/9")
    tweet = old.claim(connection, "other")
    with pytest.raises(psycopg.errors.UniqueViolation):  # which is what its poster knows it by
        old.record_post(connection, tweet.id, "9", "https://x.com/i/web/status/9")
    old.release(connection, tweet.id, "rejected", "X had this text already")
    assert [post.state for post in posts.list_posts(connection, "other", 9)] == ["refused"]


def test_it_cannot_approve_a_double(old: ModuleType, old_url: str, tmp_path: Path) -> None:
    with reach(old_url, tmp_path) as connection:
        old.add_tweets(connection, "demo", [old.NewTweet("a b", state="approved"), old.NewTweet("a  b")])
        migrate(connection)
        record(connection, claim(connection))
        old.decide(connection, "demo", 2, "approved")
        assert old.claim(connection, "demo") is None
        with pytest.raises(MynahError, match="cannot be approved: tweet 1 is the same text but for white space"):
            decide(connection, "demo", 2, "approved")
        assert edit(connection, "demo", 2, "another")
        assert decide(connection, "demo", 2, "approved")
        assert old_claim(old, connection).text == "another"


@pytest.mark.parametrize("version", ["old", "new"])
def test_a_double_that_was_under_way_is_not_tried_again(
    old: ModuleType, old_url: str, tmp_path: Path, version: str
) -> None:
    with reach(old_url, tmp_path) as connection:
        old.add_tweets(connection, "demo", [old.NewTweet(text, state="approved") for text in ("a b", "a  b")])
        old.claim(connection, "demo"), old.claim(connection, "demo")
        migrate(connection)
        if version == "old":
            old.release(connection, 2, "approved", None)
        else:
            posts.give_back(connection, next(p.id for p in posts.list_posts(connection, "demo", 9) if p.tweet_id == 2))
        tweet = get_tweet(connection, "demo", 2)
        assert tweet
        assert (tweet.state, tweet.judgement) == ("rejected", "rejected")
        assert "tweet 1 is the same text" in str(tweet.reason)
        assert posts.claim(connection, "demo", "main") is None
        assert old.claim(connection, "demo") is None


# Both at once, in any order.

HOURS = st.sampled_from([None, 0, 1, 2])
ENDS = st.sampled_from(["die", "send, die", "posted", "lost", "send, lost", "refused", "given back"])
SPACES = ("{} {}", "{}  {}", " {}\u2003{}", "{}\n{} ")
LIVE = ("claimed", "unknown", "posted")
PRESSING = ("claimed", "unknown", "posted", "refused", "returned")


class Both(RuleBasedStateMachine):
    """Texts come and are judged, posters of both versions claim, die, lose answers and settle.

    `sent` is the truth of the accounts: which text went where. Whether a text is there, a poster may look up.
    """

    connection: Connection
    old: ModuleType

    def __init__(self) -> None:
        super().__init__()
        self.connection.execute("TRUNCATE tweets RESTART IDENTITY CASCADE")
        self.connection.execute("SELECT setseed(0)")  # a life that is lived again must be the same
        self.sent: list[tuple[str, str]] = []
        self.posted: set[int] = set()

    @initialize(version=st.sampled_from(["old", "new"]))
    def begin(self, version: str) -> None:
        for word in "abcd":
            self.add(version, word, SPACES[0], "approved")

    def send(self, account: str, text: str) -> None:
        self.sent.append((account, " ".join(text.split())))

    def has(self, account: str, text: str) -> bool:
        return (account, " ".join(text.split())) in self.sent

    def url(self, account: str, text: str) -> str:
        return f"https://{account}.example/{self.sent.index((account, ' '.join(text.split())))}"

    @rule(
        version=st.sampled_from(["old", "new"]),
        word=st.sampled_from("abcde"),
        space=st.sampled_from(SPACES),
        state=st.sampled_from(["approved", "approved", "candidate", "rejected"]),
    )
    def add(self, version: str, word: str, space: str, state: str) -> None:
        reason = "dull" if state == "rejected" else None
        text = space.format("word", word)
        if version == "old":
            self.old.add_tweets(self.connection, "demo", [self.old.NewTweet(text, state=state, reason=reason)])
        else:
            add_tweets(self.connection, "demo", [NewTweet(text, state=state, reason=reason)])

    @rule(hour=HOURS, end=ENDS)
    def old_posts(self, hour: int | None, end: str) -> None:
        self.post("old", hour, end)

    @rule(hour=HOURS, end=ENDS)
    def new_posts(self, hour: int | None, end: str) -> None:
        self.post("main", hour, end)

    @rule(hour=HOURS, end=ENDS)
    def new_posts_elsewhere(self, hour: int | None, end: str) -> None:
        self.post("news", hour, end)

    def post(self, poster: str, hour: int | None, end: str) -> None:
        """A poster claims one, sends it or not, and reports or dies."""
        slot = None if hour is None else NOON + timedelta(hours=hour)
        account = "main" if poster == "old" else poster
        if poster == "old":
            if slot and self.old.slot_tweet(self.connection, "demo", slot):
                return
            claimed = self.old.claim(self.connection, "demo", slot)
        else:
            made = slot and posts.slot_post(self.connection, "demo", account, slot)
            claimed = posts.claim(self.connection, "demo", account, slot)
            assert not (made and claimed)
        if not claimed:
            return
        assert not self.has(account, claimed.text)
        if end.startswith("send") or end == "posted":
            self.send(account, claimed.text)
        if not end.endswith("die"):
            self.report(poster == "old", account, claimed.id, claimed.text, end.removeprefix("send, "))

    def report(self, old: bool, account: str, id: int, text: str, end: str) -> None:
        if end == "posted":
            arguments = (id, f"{account} {self.url(account, text)}", self.url(account, text))
            (self.old.record_post if old else posts.record)(self.connection, *arguments)
        elif old:
            to = {"lost": "unknown", "refused": "rejected", "given back": "approved"}[end]
            self.old.release(self.connection, id, to, None if to == "approved" else end)
        else:
            report = {"lost": posts.doubt, "refused": posts.refuse, "given back": posts.give_back}[end]
            report(self.connection, id, end)

    @rule(poster=st.sampled_from(["old", "main", "news"]))
    def settle(self, poster: str) -> None:
        """A poster looks for what others left, as each version does before it posts."""
        if poster == "old":
            for tweet in self.old.stale_claims(self.connection, "demo", timedelta(0)):
                end = "posted" if self.has("main", tweet.text) else "given back"
                self.report(True, "main", tweet.id, tweet.text, end)
            for tweet in self.old.list_tweets(self.connection, "demo", "unknown", 20):
                if self.has("main", tweet.text):
                    self.report(True, "main", tweet.id, tweet.text, "posted")
        else:
            for post in posts.list_posts(self.connection, "demo", 99, poster, "claimed"):
                end = "posted" if self.has(poster, post.text) else "given back"
                self.report(False, poster, post.id, post.text, end)
            for post in posts.unknown(self.connection, "demo", poster):
                if self.has(poster, post.text):
                    self.report(False, poster, post.id, post.text, "posted")

    @rule(
        version=st.sampled_from(["old", "new"]),
        index=st.integers(0, 9),
        state=st.sampled_from(["approved", "rejected", "candidate"]),
        behind=st.booleans(),
    )
    def decide(self, version: str, index: int, state: str, behind: bool) -> None:
        """A person decides; on an unknown one only after a look at the accounts, and as 0.2.0's command allows."""
        tweets = self.connection.execute("SELECT id, state, text, revision FROM tweets ORDER BY id").fetchall()
        id, now, text, revision = tweets[index % len(tweets)]
        reason = "no" if state == "rejected" else None
        if now == "unknown" and (self.has("main", text) or self.has("news", text)):
            return
        if version == "new":
            try:
                decide(self.connection, "demo", id, state, reason, revision - behind)
                assert not behind or now in ("posting", "posted")
            except Stale:
                assert behind
        elif now != state and (now, state) != ("unknown", "candidate"):
            self.old.decide(self.connection, "demo", id, state, reason)

    @rule(
        version=st.sampled_from(["old", "new"]),
        index=st.integers(0, 9),
        word=st.sampled_from("abcdefg"),
        space=st.sampled_from(SPACES),
    )
    def edit(self, version: str, index: int, word: str, space: str) -> None:
        ids = self.connection.execute("SELECT id FROM tweets ORDER BY id").fetchall()
        (id,) = ids[index % len(ids)]
        with suppress(psycopg.errors.UniqueViolation):  # another has that text
            (self.old.edit if version == "old" else edit)(self.connection, "demo", id, space.format("word", word))

    def teardown(self) -> None:
        """In the end, with one poster of each kind, all that is approved is on both accounts."""
        for poster in ("old", "main", "news"):
            self.settle(poster)
        while self.old.claim(self.connection, "demo"):
            (tweet,) = queue.find(self.connection, "demo", queue.Filter("posting"), 1)
            self.send("main", tweet.text)
            self.report(True, "main", tweet.id, tweet.text, "posted")
            self.no_text_goes_to_an_account_twice()
        for account in ("main", "news"):
            while posts.claim(self.connection, "demo", account):
                (post,) = posts.list_posts(self.connection, "demo", 9, account, "claimed")
                self.send(account, post.text)
                self.report(False, account, post.id, post.text, "posted")
                self.no_text_goes_to_an_account_twice()
        self.states_are_in_step()
        assert count_states(self.connection, "demo")["approved"] == 0
        assert posts.count_claimable(self.connection, "demo", "main") == 0

    @invariant()
    def no_text_goes_to_an_account_twice(self) -> None:
        assert len(set(self.sent)) == len(self.sent)
        twice = self.connection.execute(
            "SELECT account, text_key FROM posts GROUP BY account, text_key HAVING count(*) > 1"
        ).fetchall()
        assert twice == []
        for post in posts.list_posts(self.connection, "demo", 99):
            if post.state == "posted":
                assert post.post_url == self.url(post.account, post.text)
                self.posted.add(post.id)
            else:
                assert post.id not in self.posted
                assert post.state in ("claimed", "unknown") or not self.has(post.account, post.text)

    @invariant()
    def states_are_in_step(self) -> None:
        made: dict[int, list[Post]] = {}
        for post in posts.list_posts(self.connection, "demo", 99):
            made.setdefault(post.tweet_id, []).append(post)
        rows = self.connection.execute("SELECT id, state, judgement, text FROM tweets").fetchall()
        for id, state, judgement, text in rows:
            most = min((post.state for post in made.get(id, [])), key=PRESSING.index, default="returned")
            expected = {"claimed": "posting", "unknown": "unknown", "posted": "posted"}.get(most, judgement)
            if most == "refused" and judgement == "approved":
                expected = "rejected"
            assert state == expected
            assert all(post.text == text for post in made.get(id, []))

    @invariant()
    def a_slot_has_one_live_post(self) -> None:
        live = [post for post in posts.list_posts(self.connection, "demo", 99) if post.slot]
        assert all(post.state in LIVE for post in live)
        assert len({(post.account, post.slot) for post in live}) == len(live)
        known = dict(self.connection.execute("SELECT due, tweet_id FROM post_slots").fetchall())
        assert known == {post.slot: post.tweet_id for post in live if post.account == "main"}

    @invariant()
    def every_revision_has_its_decision(self) -> None:
        (off,) = self.connection.execute(
            "SELECT count(*) FROM tweets AS t WHERE revision - 1 <> (SELECT count(*) FROM decisions AS d"
            " WHERE d.tweet_id = t.id AND old_text IS NOT NULL AND d.at >= t.created_at)"
        ).fetchone() or (0,)
        assert off == 0


@pytest.mark.slow
def test_random_lives_of_both(old: ModuleType, connection: Connection) -> None:
    machine = type("Machine", (Both,), {"connection": connection, "old": old})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
