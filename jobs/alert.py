"""Tell people what needs them, each thing once: the stock is low, nothing could be posted, a post needs a person."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from mynah.bot import Bot
from mynah.database import alerts, posts, queue, slots
from mynah.database.connection import Connection
from mynah.database.queue import Filter
from mynah.errors import MynahError, UsageError
from mynah.links import Link, token
from mynah.rules import may_post
from mynah.settings import Settings
from mynah.stock import stock_days

DAYS = 1  # of times of a schedule that were missed; of older ones nobody is told any more
ROWS = 20  # posts per account and state that are told of


@dataclass(frozen=True)
class Thing:
    """One thing to tell. `key` is the same for as long as it is the same thing; `low`: it is the stock."""

    key: str
    says: str
    low: bool = False


@dataclass(frozen=True)
class Alerted:
    """What was told, and what had been told before and still is so."""

    bot: str
    told: list[str] = field(default_factory=list)
    known: int = 0
    message: str = ""

    def summary(self) -> str:
        more = f"; {self.known} told before" if self.known else ""
        return f"nothing to tell of {self.bot}{more}" if not self.told else f"{self.message}{more}"


def alert(bot: Bot, settings: Settings, connection: Connection, now: datetime, dry_run: bool = False) -> Alerted:
    """Tell what is new through MYNAH_ALERTS. With `dry_run`, only show it.

    Raises MynahError where nobody could be told; then it is told by the next run.
    """
    if not settings.alerts and not dry_run:
        raise UsageError(
            "MYNAH_ALERTS is not set: name where alerts go, as apprise has addresses, e.g. json://host/path"
        )
    things = {thing.key: thing for thing in _things(bot, connection, now)}
    with connection.transaction(force_rollback=dry_run):
        new = [things[key] for key in sorted(alerts.news(connection, bot.name, things))]
        if not new:
            return Alerted(bot.name, known=len(things))
        lines = [f"- {thing.says}" for thing in new]
        if any(thing.low for thing in new):
            lines += _candidates(bot, settings, connection, now)
        title = f"{bot.name}: {new[0].says if len(new) == 1 else f'{len(new)} things need you'}"
        if not dry_run:
            send(settings.alerts, title, "\n".join(lines))
    return Alerted(bot.name, [thing.says for thing in new], len(things) - len(new), "\n".join(lines))


def alert_after(bot: Bot, settings: Settings, connection: Connection) -> None:
    """At the end of another verb: what keeps people from being told is a line, and no failure of that verb."""
    try:
        alert(bot, settings, connection, datetime.now(UTC))
    except (MynahError, psycopg.Error) as error:
        print(f"nobody was alerted: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def _things(bot: Bot, connection: Connection, now: datetime) -> Iterator[Thing]:
    """What needs people just now, of every account."""
    wanted, many = bot.alerts, len(bot.accounts_by_name()) > 1
    for name, section in bot.accounts_by_name().items():
        on = f" on {name}" if many else ""
        if wanted.stock:
            left = posts.count_claimable(connection, bot.name, name)
            days = stock_days(left, section, now)
            if days is not None and days < section.stock_days:
                says = f"{left} approved texts are left{on}, for {days:.1f} days: `mynah curate {bot.name}`"
                yield Thing(f"stock {name}", says, low=True)
        if wanted.failed:
            for slot in slots.missed(connection, bot.name, name, DAYS, ROWS):
                at = slot.slot.astimezone(ZoneInfo(section.time_zone))
                says = f"nothing was posted{on} at {at:%H:%M %Z}: {slot.reason}"
                yield Thing(f"missed {name} {slot.slot.timestamp():.0f}", says)
        if wanted.doubts:
            for row in posts.list_posts(connection, bot.name, ROWS, name, "refused"):
                says = f"tweet {row.tweet_id} was refused{on}: {row.reason}; edit it, or approve it to try again"
                yield Thing(f"refused {row.id} {row.attempts}", says)
            for row in posts.list_posts(connection, bot.name, ROWS, name, "unknown"):
                if row.for_a_person:
                    says = f"was tweet {row.tweet_id} posted{on}? Look, then say it with `mynah settle {bot.name}`"
                    yield Thing(f"doubt {row.id} {row.attempts}", says)


def _candidates(bot: Bot, settings: Settings, connection: Connection, now: datetime) -> list[str]:
    """The best candidates, each with its link; nothing where the bot file asks for none."""
    section = bot.alerts
    if not section.candidates:
        return []
    if section.address is None or settings.signing_key is None:
        missing = "alerts.address" if section.address is None else "MYNAH_SIGNING_KEY"
        raise UsageError(f"bot {bot.name}: alerts.candidates needs {missing}, for the links")
    found = queue.find(connection, bot.name, Filter(), 10 * section.candidates)
    best = [tweet for tweet in found if may_post(tweet.text, bot.judge) is None][: section.candidates]
    until = now + timedelta(hours=section.link_hours)
    lines = ["", "The best candidates, each with a link to approve or reject it:"] if best else []
    for tweet in best:
        link = token(settings.signing_key, Link(bot.name, tweet.id, tweet.revision, until))
        lines += ["", tweet.text, f"{section.address.rstrip('/')}/decide/{link}"]
    return lines


def send(addresses: tuple[str, ...], title: str, body: str) -> None:
    """Send to every address. Raises MynahError where none took it; of one that did not, a line is printed."""
    import apprise

    failed = []
    for number, address in enumerate(addresses, 1):
        service = apprise.Apprise.instantiate(address)
        kind = address.partition("://")[0] if "://" in address else "no scheme"  # the rest is a secret
        if service is None:
            raise UsageError(f"MYNAH_ALERTS: address {number} ({kind}) is none that apprise knows")
        if not service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            failed.append(f"address {number} of MYNAH_ALERTS ({kind}) did not take an alert")
    if len(failed) == len(addresses):
        raise MynahError("; ".join(failed))
    for line in failed:
        print(line, file=sys.stderr, flush=True)
