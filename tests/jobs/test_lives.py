"""Lives that hypothesis tries out: people, posters, crashes and time in any order, and what must hold then."""

import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jobs.post import post
from jobs.settle import decide
from mynah.bot import Bot, OutboxAccount
from mynah.database import budget, posts, queue, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter
from mynah.database.tweets import NewTweet
from mynah.errors import MynahError
from tests.scripted_account import Killed, Scripted, let_pass

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCOUNTS = ("main", "news")
HOLDERS = [UUID(int=number) for number in (1, 2)]
STEPS = [
    "post",
    "post late",
    "post and lose the answer",
    "lose the request",
    "die before",
    "die after",
    "die after, late",
    "refuse",
    "limit",
    "no keys",
]
LIMITS: dict[str, Any] = {"max_posts_per_day": 2, "max_cost_usd": 0.05, "likes_days": 0}


class Doomed(psycopg.Cursor[Any]):
    """Dies before it sends a statement, when so many were sent."""

    left: ClassVar[int] = -1

    def execute(self, *arguments: Any, **keywords: Any) -> Any:
        Doomed.left -= 1
        if Doomed.left == 0:
            raise Killed
        return super().execute(*arguments, **keywords)


class Lives(RuleBasedStateMachine):
    """Texts come, people decide, edit and look; posters of two accounts run and die; time passes.

    No text is posted twice to an account, a time has one post, no row is lost, no budget is exceeded. In the end every
    approved text is posted to both accounts, once, and none is in doubt.
    """

    connection: Connection
    bot: Bot

    def __init__(self) -> None:
        super().__init__()
        self.connection.execute("TRUNCATE tweets, slots, readings, spend RESTART IDENTITY CASCADE")
        # Which text a poster takes must not differ when a life is lived again.
        self.connection.execute("SELECT setseed(0)")
        cost, read = Decimal("0.015"), Decimal("0.001")
        self.accounts = {
            "main": Scripted(name="main", notices=False, post_cost=cost, read_cost=read),
            "news": Scripted(name="news", notices=False, idempotent=True),
        }
        self.texts: set[str] = set()
        self.at = Counter[tuple[str, datetime]]()  # posts made for a time
        self.number = 0

    @initialize(number=st.integers(1, 5))
    def begin(self, number: int) -> None:
        for _ in range(number):
            self.add("approved")

    @rule(state=st.sampled_from(["approved", "candidate"]))
    def add(self, state: str) -> None:
        self.number += 1
        text = "see example.com" if self.number == 4 else f"text {self.number}"
        self.texts.add(text)
        tweets.add_tweets(self.connection, "demo", [NewTweet(text, state=state)])

    @rule(
        name=st.sampled_from(["main", "main", "news"]),
        step=st.sampled_from(STEPS),
        failing=st.sampled_from([[], [], [True] * 3, [False, True, True, True]]),
        hour=st.sampled_from([None, 0, 3, 6]),
        dies_at=st.sampled_from([0, 0, 0, 3, 8, 12, 16, 20]),
    )
    def run(self, name: str, step: str, failing: list[bool], hour: int | None, dies_at: int) -> None:
        account = self.accounts[name]
        account.plan, account.failing = [step], [*failing]
        slot = None if hour is None else NOON + timedelta(hours=hour)
        before = len(account.posts)
        Doomed.left = dies_at
        result = None
        with contextlib.suppress(Killed, MynahError):
            result = post(self.bot, name, self.connection, account, slot=slot, now=slot, pause=0)  # type: ignore[arg-type]
        Doomed.left = -1
        if result:
            assert result.outcome in ("posted", "nothing")
            assert (result.outcome == "posted") <= (self.state(name, result.tweet) == "posted")
        made = len(account.posts) - before
        assert made <= 1
        if slot:
            self.at[name, slot] += made

    @rule(minutes=st.sampled_from([11, 1, 200]))
    def let_pass(self, minutes: int) -> None:
        let_pass(self.connection, minutes)
        for account in self.accounts.values():  # an account shows a post within ten minutes
            account.hidden = account.hidden if minutes == 1 else 0

    @rule(
        state=st.sampled_from(["approved", "rejected", "candidate", "edited"]),
        index=st.integers(0, 5),
        stale=st.booleans(),
    )
    def judge(self, state: str, index: int, stale: bool) -> None:
        """A person decides; about one in doubt only after a look at the accounts, which tell."""
        tweet = self.tweet(index)
        if tweet is None:
            return
        doubted = [name for name in ACCOUNTS if self.state(name, tweet.id) in ("unknown", "claimed")]
        if any(self.has(name, tweet.text) is not False for name in doubted):
            return
        revision = tweet.revision - stale
        try:
            if state == "edited":
                if tweets.edit(self.connection, "demo", tweet.id, tweet.text + "!", revision):
                    self.texts = self.texts - {tweet.text} | {tweet.text + "!"}
            else:
                tweets.decide(
                    self.connection, "demo", tweet.id, state, "why" if state == "rejected" else None, revision
                )
        except tweets.Stale:
            assert stale

    @rule(name=st.sampled_from(ACCOUNTS), index=st.integers(0, 5))
    def look(self, name: str, index: int) -> None:
        """A person looks at an account, and says what became of a post in doubt."""
        tweet = self.tweet(index)
        if tweet and (there := self.has(name, tweet.text)) is not None:
            url = f"https://example.com/{name}/{self.accounts[name].posts.index(tweet.text) + 1}" if there else None
            with contextlib.suppress(MynahError):  # it is not in doubt
                decide(self.connection, "demo", name, tweet.id, there, url)

    @rule(holder=st.sampled_from(HOLDERS), limit=st.integers(1, 3), release=st.booleans())
    def lease(self, holder: UUID, limit: int, release: bool) -> None:
        """Curators take what is next before them, and go."""
        if release:
            queue.release(self.connection, holder)
        taken = queue.next_candidates(self.connection, "demo", Filter("candidate"), holder, limit)
        assert all(tweet.state == "candidate" for tweet in taken)

    def tweet(self, index: int) -> tweets.Tweet | None:
        found = self.connection.execute("SELECT id FROM tweets ORDER BY id OFFSET %s LIMIT 1", [index]).fetchone()
        return tweets.get_tweet(self.connection, "demo", found[0]) if found else None

    def has(self, name: str, text: str) -> bool | None:
        """Whether a person finds a text on an account; None while its last post may not show yet."""
        account = self.accounts[name]
        return None if account.hidden else text in account.posts

    def state(self, name: str, tweet: int | None) -> str | None:
        found = self.connection.execute(
            "SELECT state FROM posts WHERE tweet_id = %s AND account = %s", [tweet, name]
        ).fetchone()
        return found[0] if found else None

    def teardown(self) -> None:
        """The accounts answer and show everything: all approved texts are posted to both, and no row is in doubt."""
        generous = self.bot.model_copy(update={"accounts": {}})
        let_pass(self.connection, 200)
        for name, account in self.accounts.items():
            account.plan, account.failing, account.hidden = [], [], 0
            for _ in range(len(self.texts) + 2):
                done = post(generous, name, self.connection, account, pause=0)  # type: ignore[arg-type]
                if done.outcome == "nothing":
                    break
            assert posts.count_claimable(self.connection, "demo", name) == 0
        self.never_twice()
        self.no_row_is_lost_and_posted_means_posted()
        assert self.connection.execute("SELECT FROM posts WHERE state IN ('claimed', 'unknown')").rowcount == 0

    @invariant()
    def never_twice(self) -> None:
        for account in self.accounts.values():
            assert len(set(account.posts)) == len(account.posts)
            assert not any(text.startswith("see example.com") for text in account.posts)
        assert max(self.at.values(), default=0) <= 1

    @invariant()
    def no_row_is_lost_and_posted_means_posted(self) -> None:
        assert {text for (text,) in self.connection.execute("SELECT text FROM tweets")} == self.texts
        for name, account in self.accounts.items():
            made = self.connection.execute("SELECT text, state, post_id FROM posts WHERE account = %s", [name])
            states = {text: (state, post_id) for text, state, post_id in made.fetchall()}
            for text, (state, post_id) in states.items():
                if state == "posted":
                    assert account.posts[int(post_id) - 1] == text
            for text in account.posts:
                assert states[text][0] in ("posted", "claimed", "unknown")

    @invariant()
    def budgets_hold(self) -> None:
        used = budget.used(self.connection, "demo", "main")
        assert used.today <= LIMITS["max_posts_per_day"]
        assert used.dollars <= Decimal(str(LIMITS["max_cost_usd"]))
        assert used.month >= sum(1 for text in self.accounts["main"].posts if self.was_now(text))

    def was_now(self, text: str) -> bool:
        """Whether a post of this month, by its claim."""
        found = self.connection.execute(
            """
            SELECT FROM posts WHERE account = 'main' AND text = %s
                AND claimed_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
            """,
            [text],
        )
        return found.rowcount == 1

    @invariant()
    def no_text_is_before_two_curators(self) -> None:
        leases = self.connection.execute("SELECT tweet_id FROM curating WHERE expires_at > clock_timestamp()")
        assert max(Counter(leases.fetchall()).values(), default=0) <= 1


def lives(bot: Bot, connection: Connection, number: int, steps: int) -> None:
    accounts = {name: OutboxAccount(kind="outbox", **(LIMITS if name == "main" else {})) for name in ACCOUNTS}
    bot = bot.model_copy(update={"accounts": accounts})
    connection.cursor_factory = Doomed
    machine = type("Machine", (Lives,), {"connection": connection, "bot": bot})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=number, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_some_lives(bot: Bot, connection: Connection) -> None:
    lives(bot, connection, number=6, steps=20)


@pytest.mark.slow
def test_many_lives(bot: Bot, connection: Connection) -> None:
    lives(bot, connection, number=60, steps=30)
