"""Where a bot's loop stands: documents, models, tweets, posts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from cronsim import CronSim

from jobs.settle import compare, verb
from mynah.bot import Bot
from mynah.bot.post import Posting
from mynah.database import budget, posts, prompts, rankings, served, slots, spend
from mynah.database.connection import Connection
from mynah.database.rankings import Ranking
from mynah.database.tweets import count_states
from mynah.endpoint import client as client_of
from mynah.endpoint import serving_model
from mynah.errors import MynahError
from mynah.settings import Settings
from mynah.stock import stock_days

DAYS = 30  # that are looked back at
WEEK = 7  # days whose missed posts are shown
SHOWN = 5  # missed posts that are shown, per account
DOUBTS = 20  # posts of unknown fate that are shown, per account and state
LIMITS = ("max_posts_per_day", "max_posts_per_month", "max_cost_usd")


@dataclass(frozen=True)
class AccountStatus:
    """How an account stands."""

    last_post: dict[str, Any] | None
    next_post: str
    left: int
    """Approved texts that it has yet to get."""
    doubts: list[dict[str, Any]]
    """Posts that a poster has in hand or left when it was killed, and posts of whose fate nobody knows."""
    days: float | None = None
    """How long the approved texts last, by the schedule."""
    low: bool = False
    """Whether that is less than stock_days."""
    missed: list[dict[str, str]] = field(default_factory=list)
    """Times of the schedule in the last WEEK days that have no post, with the reason."""
    used: dict[str, Any] = field(default_factory=dict)
    """What it has posted, or may have: posts today and this month, and dollars this month; and what it may."""

    def lines(self, prefix: str, bot: str) -> Iterator[str]:
        """For people; `prefix` names the account where the bot has several."""
        last = self.last_post
        yield (
            f"posted   {prefix}{last['at']}  {last['url']}  {last['text']}" if last else f"posted   {prefix}nothing yet"
        )
        for doubt in self.doubts:
            reason = f": {doubt['reason']}" if doubt["reason"] else ""
            yield f"doubt    {prefix}tweet {doubt['tweet']} is {doubt['state']} since {doubt['since']}{reason}"
            if doubt["for_a_person"]:
                yield f"         {prefix}look: {doubt['for_a_person']}"
        for miss in self.missed:
            yield f"missed   {prefix}{miss['slot']}: {miss['reason']}"
        if self.used.get("dollars") or any(self.used.get(limit) is not None for limit in LIMITS):
            yield f"budget   {prefix}{self._used()}"
        stock = f", {self.left} to post" if self.left else f" has nothing to post: `mynah curate {bot}`"
        if self.left and self.days is not None:
            stock += f", for {self.days:.1f} days" + (f": low, `mynah curate {bot}`" if self.low else "")
        yield f"next     {prefix}{self.next_post}{stock}"

    def _used(self) -> str:
        def of(limit: str, sign: str = "") -> str:
            most = self.used.get(limit)
            return "" if most is None else f" of {sign}{most:g}"

        return (
            f"{self.used['today']}{of(LIMITS[0])} posts today, {self.used['month']}{of(LIMITS[1])} this month, "
            f"${self.used['dollars']:.3f}{of(LIMITS[2], '$')} this month"
        )


@dataclass(frozen=True)
class Status:
    """The state of each step; None where there is nothing yet."""

    bot: str
    raw_files: dict[str, int]
    dataset: dict[str, Any] | None
    model: dict[str, Any] | None
    """The newest."""
    current: dict[str, Any] | None
    """The one that speaks for the bot."""
    endpoint: str
    serving: str | None
    tweets: dict[str, int]
    accounts: dict[str, AccountStatus]
    spent: float = 0.0
    """Dollars that reading the sources has cost this month, or may have."""
    max_cost_usd: float = 0.0
    liked: dict[str, Any] | None = None
    """What was last learned of its curators: approved, rejected, auc; None where they decided too little."""
    played: dict[str, int] = field(default_factory=dict)
    """What people did with its prompts in the last DAYS days: visit, prompt (a new one), like, report."""

    def summary(self) -> str:
        tweets = ", ".join(f"{number} {state}" for state, number in self.tweets.items() if number) or "none"
        return "\n".join(
            (
                f"bot      {self.bot}",
                f"scraped  {', '.join(f'{name}: {n} files' for name, n in self.raw_files.items())}",
                *([f"spent    ${self.spent:.2f} of ${self.max_cost_usd:g} this month"] if self.spent else []),
                f"dataset  {self._dataset()}",
                f"newest   {self._model()}",
                f"current  {self._current()}",
                f"serving  {self.serving or 'nothing answers'} at {self.endpoint}",
                f"tweets   {tweets}",
                *([f"liked    {self._liked(self.liked)}"] if self.liked else []),
                *([f"played   {self._played()}"] if self.played else []),
                *(
                    line
                    for name, account in self.accounts.items()
                    for line in account.lines(f"{name}: " if len(self.accounts) > 1 else "", self.bot)
                ),
            )
        )

    @staticmethod
    def _liked(liked: dict[str, Any]) -> str:
        return (
            f"learned from {liked['approved']} approved and {liked['rejected']} rejected: of two decisions held out, "
            f"the approved text is put first in {liked['auc']:.0%}"
        )

    def _played(self) -> str:
        number = {what: self.played.get(what, 0) for what in ("visit", "prompt", "like", "report")}
        return (
            f"{number['visit']:,} prompts asked, {number['prompt']:,} of them new, {number['like']:,} likes, "
            f"{number['report']:,} reports in {DAYS} days"
        )

    def _dataset(self) -> str:
        if self.dataset is None:
            return f"none yet: `mynah dataset {self.bot}`"
        return f"{self.dataset['id']}, {self.dataset['train']:,} train + {self.dataset['dev']:,} dev texts"

    def _model(self) -> str:
        if self.model is None:
            return f"none yet: `mynah train {self.bot}`"
        return (
            f"{self.model['id']}, dev loss {dev_losses(self.model)}, "
            f"trained {self.model['created']} from {self.model['base']}"
        )

    def _current(self) -> str:
        if self.current is None:
            return f"none yet: `mynah promote {self.bot}`"
        return f"{self.current['model']} since {self.current['since']}, by {self.current['who']}: {self.current['why']}"


def dev_losses(metrics: dict[str, Any]) -> str:
    """The dev loss before and after training, in nats per token; there is none without dev texts."""
    if metrics["dev_loss"] is None:
        return "not measured: no dev texts"
    return f"{metrics['dev_loss_untuned']:.3f} untuned → {metrics['dev_loss']:.3f} fine-tuned"


def status(bot: Bot, settings: Settings, endpoint: str, now: datetime) -> Status:
    """Read where the loop of `bot` stands; `now` is an aware time. A dead endpoint is told, not raised."""
    bucket = settings.bucket
    dataset = next(bucket.manifests(bot.name, "datasets"), None)
    model = next(bucket.manifests(bot.name, "models"), None)
    with settings.connect() as connection:
        current = served.current(connection, bot.name)
        tweets = count_states(connection, bot.name)
        spent = float(spend.spent(connection, bot.name))
        played = prompts.counts(connection, bot.name, DAYS)
        learned = rankings.ranking(connection, bot.name)
        accounts = {
            name: account_status(bot.name, name, section, connection, now)
            for name, section in bot.accounts_by_name().items()
        }
    try:
        with client_of(endpoint, settings.api_keys, httpx.Timeout(2), retries=0) as client:
            serving = serving_model(client, bot.name)
    except MynahError:
        serving = None
    return Status(
        bot=bot.name,
        raw_files={source: len(bucket.names(bot.name, "raw", source)) for source in bot.sources},
        dataset=dataset and {"id": dataset["id"], **dataset["counts"]},
        model=model and {"id": model["id"], "created": model["created"], "base": model["base"], **model["metrics"]},
        current=_current(current) if current else None,
        endpoint=endpoint,
        serving=serving,
        tweets=tweets,
        accounts=accounts,
        spent=spent,
        max_cost_usd=bot.scrape.max_cost_usd,
        played=played,
        liked=_liked(learned) if learned else None,
    )


def _liked(learned: Ranking) -> dict[str, Any]:
    return {"approved": learned.approved, "rejected": learned.rejected, "auc": learned.auc}


def _current(now: served.Served) -> dict[str, Any]:
    return {"model": now.model, "since": _minute(now.since), "who": now.who, "why": now.why}


def account_status(bot: str, name: str, section: Posting, connection: Connection, now: datetime) -> AccountStatus:
    """How an account stands at `now`."""
    zone = ZoneInfo(section.time_zone)
    following = next(CronSim(section.schedule, now.astimezone(zone)))
    when = "suspended" if section.suspend else f"{following:%Y-%m-%d %H:%M %Z}"
    last = posts.list_posts(connection, bot, 1, name, "posted")
    doubts = [
        post for state in ("claimed", "unknown") for post in posts.list_posts(connection, bot, DOUBTS, name, state)
    ]
    left = posts.count_claimable(connection, bot, name)
    days = stock_days(left, section, now)
    spent = budget.used(connection, bot, name)
    return AccountStatus(
        last_post=next(
            ({"at": _minute(p.posted_at), "url": p.post_url, "text": p.text, "tweet": p.tweet_id} for p in last), None
        ),
        next_post=f"{when} (schedule {section.schedule})",
        left=left,
        doubts=[
            {
                "tweet": p.tweet_id,
                "state": p.state,
                "since": _minute(p.claimed_at),
                "reason": p.reason,
                "text": p.text,
                "for_a_person": _asked(p) if p.for_a_person else None,
            }
            for p in doubts
        ],
        days=days,
        low=days is not None and days < section.stock_days,
        missed=[
            {
                "slot": f"{missed.slot.astimezone(zone):%Y-%m-%d %H:%M %Z}",
                "reason": missed.reason,
            }
            for missed in slots.missed(connection, bot, name, WEEK, SHOWN)
        ],
        used={"today": spent.today, "month": spent.month, "dollars": float(spent.dollars)}
        | section.model_dump(include={*LIMITS}),
    )


def _asked(post: posts.Post) -> str:
    """What a person is asked about a post in doubt."""
    if post.alike:
        return compare(post, post.alike)
    return f"the account could not be read for a day. `{verb(post)} there --url URL` or `{verb(post)} not-there`"


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
