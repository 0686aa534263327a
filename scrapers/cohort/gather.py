"""The followers of one leader after the other, from where the last run stopped; then the cohort, then its posts.

The cursor holds `leaders`, the number of each leader and of its followers; `posts`, the cursor of a sweep over the
cohort (see scrapers.x.sweep); and `unsettled`, as a sweep does.
"""

import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

from mynah.bot.sources.cohort import CohortSource
from mynah.bucket import fingerprint
from mynah.database.spend import Sent
from mynah.errors import MynahError
from mynah.progress import Advance, progress
from mynah.settings import Settings
from scrapers.cohort.pages import Cohort, Note, Pages, table_of
from scrapers.cohort.rank import follows, rank
from scrapers.page import Context, Cursor, Page
from scrapers.x import walk
from scrapers.x.names import read_names, read_users
from scrapers.x.reader import Reader, Stop, Unread, unsettled
from scrapers.x.sweep import LOOK_UP, Sweep

PAGE = 1000  # followers per request, as X allows
FIELDS = ["protected", "public_metrics"]


@dataclass(frozen=True)
class Sides:
    """Whose followers are ranked."""

    leaders: list[str]
    opponents: list[str]
    problems: list[str]

    @property
    def all(self) -> list[str]:
        return self.leaders + self.opponents


def read_sides(source: CohortSource, settings: Settings) -> Sides:
    """The leaders of both sides. Raises MynahError where one stands on both, or a file cannot be read."""
    leaders, problems = read_names(source.leaders, source.leaders_file, settings)
    opponents, more = read_names(source.opponents, source.opponents_file, settings)
    if both := {*leaders} & {*opponents}:
        raise MynahError(f"@{min(both)} stands among the leaders and among the opponents: leave it out of one of them")
    return Sides(leaders, opponents, problems + more)


def key_of(source: CohortSource, sides: Sides) -> str:
    """A fingerprint of what the cohort is made of."""
    return fingerprint([sorted(sides.leaders), sorted(sides.opponents), source.max_followers, source.max_accounts])


def scrape(source: CohortSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts of the cohort that are newer than what was read before; first of all the followers of its leaders.

    What concerns one leader or one account is a problem, and the rest goes on; so is the end of the money. Raises
    MynahError with one line where X refuses everything.
    """
    try:
        reader = Reader(source, context)
    except Unread as unread:
        yield Page([], cursor, problems=(str(unread),))
        return
    sides = read_sides(source, context.settings)
    if sides.problems:
        yield Page([], cursor, problems=tuple(sides.problems))
    gather = _Gather(source, cursor or {}, context, reader)
    try:
        cohort = yield from gather.cohort(sides)
    except Stop as stop:
        yield Page([], gather.cursor(), problems=(str(stop),))
        return
    if cohort:
        yield from gather.posts(cohort)


class _Gather:
    """One run."""

    def __init__(self, source: CohortSource, cursor: Cursor, context: Context, reader: Reader) -> None:
        self._source = source
        self._user = Decimal(str(source.prices.user))
        self._name = context.name
        self._reader = reader
        self._pages = Pages(context.settings.bucket, context.bot, context.name)
        self._leaders: dict[str, dict[str, Any]] = dict(cursor.get("leaders", {}))
        self._posts: Cursor = cursor.get("posts", {})
        if left := cursor.get("unsettled"):
            reader.settle_left(left)

    def cursor(self, left: dict[str, str] | None = None) -> Cursor:
        """A copy, as it is now."""
        cursor: Cursor = {"leaders": dict(self._leaders), "posts": self._posts}
        return cursor | ({"unsettled": left} if left else {})

    def cohort(self, sides: Sides) -> Generator[Page, None, Cohort | None]:
        """The cohort, made anew where the bot file has changed; the last one while followers are still missing."""
        last = self._pages.cohort()
        key = key_of(self._source, sides)
        if last and last.key == key:
            return last
        missing = yield from self._look_up([name for name in sides.all if name not in self._leaders])
        missing += yield from self._followers([name for name in sides.all if name in self._leaders])
        if missing:
            instead = "the last one is read on" if last else "until then no post is read"
            line = f"the cohort is made when {missing} more leaders are read: run again later; {instead}"
            yield Page([], self.cursor(), problems=(line,))
            return last
        members = self._rank(sides)
        if not members:
            yield Page([], self.cursor(), problems=("no follower of the leaders can be read: name other leaders",))
            return last
        cohort = Cohort(key, members)
        self._pages.write_cohort(cohort)
        return cohort

    def posts(self, cohort: Cohort) -> Iterator[Page]:
        """What the cohort has written."""
        known = cohort.accounts()
        sweep = Sweep(self._source, self._posts, self._reader, known)
        for page in sweep.pages(list(known), self._name):
            self._posts = page.cursor or {}
            yield replace(page, cursor=self.cursor())

    def _look_up(self, names: list[str]) -> Generator[Page, None, int]:
        """Learn the numbers of leaders. Returns how many are still to be asked for."""

        while names:

            def how(rest: Decimal, names: list[str] = names) -> Sent | None:
                number = walk.affordable(rest, self._user, min(LOOK_UP, len(names)))
                asked = {"usernames": names[:number], "user_fields": ["public_metrics"]}
                return Sent(asked, number * self._user) if number else None

            try:
                body, paid = self._reader.ask("get_users", f"leaders from {names[0]}", how, walk.is_whole)
            except Unread as unread:
                line = f"{len(names)} leaders cannot be looked up: {unread}"
                yield Page([], self.cursor(), problems=(line,))
                return len(names)
            found, problems = read_users(paid.sent["usernames"], body)
            for name, user in found.items():
                followers = (user.get("public_metrics") or {}).get("followers_count", 0)
                self._leaders[name] = {"id": user["id"], "followers": followers}
            cost = len(found) * self._user
            yield Page([], self.cursor(unsettled(paid, cost)), problems=tuple(problems.values()))
            self._reader.settle(paid.id, cost)
            names = [name for name in names if name not in paid.sent["usernames"]]
        return 0

    def _followers(self, names: list[str]) -> Generator[Page, None, int]:
        """Read the followers of leaders. Returns how many leaders are not read to their end."""
        missing = 0
        expected = [min(self._leaders[name]["followers"], self._source.max_followers) for name in names]
        with progress(f"{self._name}: followers", max(sum(expected), 1)) as advance:
            for name, before in zip(names, accumulate(expected, initial=0), strict=False):
                try:
                    yield from self._leader(name, lambda total, before=before: advance(before + total))
                except Unread as unread:
                    missing += 1
                    yield Page([], self.cursor(), problems=(f"@{name}: {unread}",))
        return missing

    def _leader(self, name: str, advance: Advance) -> Iterator[Page]:
        """Read the followers of a leader on, to the end or to `max_followers`."""
        leader, most = self._leaders[name], self._source.max_followers
        note = self._pages.last(name)
        if note:  # the run that wrote it may have been killed before it could say what it cost
            self._reader.settle_left(note.unsettled)
            advance(note.total)
        while note is None or (note.next and note.total < most):
            token, total = (note.next, note.total) if note else (None, 0)

            def how(rest: Decimal, token: str | None = token, total: int = total) -> Sent | None:
                size = walk.affordable(rest, self._user, min(PAGE, most - total))
                asked = {"id": leader["id"], "max_results": size, "user_fields": FIELDS}
                return Sent(asked | ({"pagination_token": token} if token else {}), size * self._user) if size else None

            request = f"followers of {leader['id']} from {token or 'the newest'}"
            body, paid = self._reader.ask("get_users_followers", request, how, walk.is_whole)
            users = body.get("data", [])
            errors = "; ".join(walk.errors_of(body))
            cost = len(users) * self._user
            if not users and errors:
                self._reader.settle(paid.id, cost)
                yield Page([], self.cursor(), problems=(f"@{name}: {errors} The cohort is made without it",))
                return
            if not users and note is None and leader["followers"] and "empty" not in leader:
                self._leaders[name] = {**leader, "empty": 1}
                self._reader.settle(paid.id, cost)
                raise Unread(f"X gives none of its {leader['followers']:,} followers: it is asked again the next time")
            note = Note(body.get("meta", {}).get("next_token"), total + len(users), unsettled(paid, cost))
            self._pages.write(name, table_of(users), note)
            self._reader.settle(paid.id, cost)
            if errors:
                yield Page([], self.cursor(), problems=(f"@{name}: in part: {errors}",))
            advance(note.total)

    def _rank(self, sides: Sides) -> list[dict[str, Any]]:
        """Those who follow the most leaders, less those who are as high on the other side."""
        own, other = self._first(sides.leaders), self._first(sides.opponents)
        both = {member["id"] for member in own} & {member["id"] for member in other}
        members = [member for member in own if member["id"] not in both]
        ends = [member["leaders"] for member in members[-1:] + members[:1]]
        counts = f"; they follow {ends[0]} to {ends[1]} of {len(sides.leaders)} leaders" if ends else ""
        left_out = f"; {len(both):,} are left out, as they are in the opponents' cohort too" if sides.opponents else ""
        self._reader.say(f"the cohort has {len(members):,} accounts{counts}{left_out}")
        return members

    def _first(self, leaders: list[str]) -> list[dict[str, Any]]:
        batches = (follows(page, number) for number, leader in enumerate(leaders) for page in self._pages.read(leader))
        with tempfile.TemporaryDirectory(prefix="mynah-cohort-") as folder:
            return rank(batches, self._source.max_accounts, Path(folder))
