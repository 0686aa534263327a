"""All accounts of a source of X, one after the other, from where the last run stopped.

The cursor holds `accounts`, the state of each by its name (see walk.py); `next`, the account that is being read; and
`unsettled`, the reservation of this page and what it cost, in case that nobody comes to say so.
"""

import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from mynah.bot.sources.x import XSource
from mynah.database.spend import Reservation, Sent
from mynah.document import Document
from mynah.progress import progress
from mynah.x_client import short
from scrapers.page import Context, Cursor, Page
from scrapers.x import walk
from scrapers.x.names import read_names
from scrapers.x.reader import Reader, Stop, Unread

LOOK_UP = 100  # names per request, as X allows
QUIET = 100  # accounts without anything new that may pass until what is known of them is kept


def scrape(source: XSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts of each account that are newer than what was read before.

    What concerns one account is a problem, and the rest goes on; so is the end of the money. Raises MynahError with one
    line where X refuses everything.
    """
    bearer = context.settings.x_bearer_token(source.env)
    if bearer is None:
        what = "is not set: no account on X is read; set it to the token of an app of X's developer console"
        yield Page([], cursor, problems=(f"{source.env}X_BEARER_TOKEN {what}",))
        return
    names, problems = read_names(source, context.settings)
    if problems:
        yield Page([], cursor, problems=tuple(problems))
    yield from _Sweep(source, cursor or {}, Reader(source, context, bearer)).pages(names, context.name)


class _Sweep:
    """One run over the accounts."""

    def __init__(self, source: XSource, cursor: Cursor, reader: Reader) -> None:
        self._source = source
        self._reader = reader
        self._accounts: dict[str, walk.State] = dict(cursor.get("accounts", {}))
        self._next: str | None = cursor.get("next")
        self._missing: set[str] = set()  # names that X does not know
        self._quiet = 0
        if unsettled := cursor.get("unsettled"):  # by a run that was killed before it could
            self._reader.settle(UUID(unsettled["id"]), Decimal(unsettled["cost"]))

    def pages(self, names: list[str], title: str) -> Iterator[Page]:
        start = names.index(self._next) if self._next in names else 0
        order = names[start:] + names[:start]
        try:
            with progress(f"{title}: accounts", len(order)) as advance:
                for done, name in enumerate(order, 1):
                    self._next = name
                    if "id" not in self._accounts.get(name, {}) and name not in self._missing:
                        yield from self._look_up(
                            [n for n in order[done - 1 :] if "id" not in self._accounts.get(n, {})]
                        )
                    if name not in self._missing:
                        yield from self._account(name)
                    advance(done)
        except Stop as stop:
            yield Page([], self._cursor(), problems=(str(stop),))
        else:
            self._next = None
            yield Page([], self._cursor())

    def _look_up(self, names: list[str]) -> Iterator[Page]:
        """The numbers of the first accounts of `names`: of as many as the rest pays for with a page of posts each."""
        prices = self._source.prices
        user, first = Decimal(str(prices.user)), min(self._source.limit or walk.PAGE, walk.PAGE)
        each = user + first * Decimal(str(prices.post))

        def how(rest: Decimal) -> Sent:
            number = min(LOOK_UP, max(1, int(rest / each) if each else LOOK_UP), len(names))
            return Sent({"usernames": names[:number], "user_fields": ["public_metrics"]}, number * user)

        try:
            body, paid = self._reader.ask("get_users", f"accounts from {names[0]}", how, walk.is_whole)
        except Unread as unread:  # those that are known already can be read all the same
            self._missing |= {*names}
            yield Page([], self._cursor(), problems=(f"{len(names)} accounts cannot be looked up: {unread}",))
            return
        found = {user["username"].lower(): user for user in body.get("data", ())}
        said = {str(error.get("value", "")).lower(): error for error in body.get("errors", ())}
        problems = []
        for name in paid.sent["usernames"]:
            if name in found:
                counts = found[name].get("public_metrics") or {}
                posts = counts.get("post_count", counts.get("tweet_count", 0))
                self._accounts[name] = {"id": found[name]["id"], "posts": posts}
            else:
                self._missing.add(name)
                error = said.get(name, {})
                why = short(error.get("detail") or error.get("title") or "X says nothing of it.")
                problems.append(f"@{name}: {why} Check the name; it may be renamed, suspended or deleted")
        yield from self._page([], problems, paid, len(found) * user)

    def _account(self, name: str) -> Iterator[Page]:
        """A walk that was interrupted is ended first, and then what is new since it began is read."""
        interrupted = "before" in self._accounts[name]
        yield from self._walk(name)
        if interrupted and "before" not in self._accounts[name]:
            yield from self._walk(name)
        if walk.is_silent(self._accounts[name], time.time()):
            try:
                yield from self._look_into(name)
            except Unread as unread:
                yield Page([], self._cursor(), problems=(f"@{name}: {unread}",))

    def _look_into(self, name: str) -> Iterator[Page]:
        """Say so where an account that used to give has no post at all any more; else it is quiet, and may be."""
        state = self._accounts[name]
        body, paid = self._reader.ask(
            "get_users_tweets",
            f"any posts of {state['id']}",
            lambda rest: walk.any_post(self._source, state, time.time(), rest),
            walk.is_whole,
        )
        problems = []
        if posts := body.get("data", ()):
            self._accounts[name] = {**state, "quiet": 1}
        else:
            last = f"{walk.time_of(state['through']):%Y-%m-%d}"
            problems.append(
                f"@{name}: used to give {state['daily']:g} posts per day up to {last}, and now shows none at all"
            )
        yield from self._page([], problems, paid, len(posts) * Decimal(str(self._source.prices.post)))

    def _walk(self, name: str) -> Iterator[Page]:
        source, token = self._source, None
        while True:
            state = self._accounts[name]

            def how(rest: Decimal, state: walk.State = state, token: str | None = token) -> Sent | None:
                return walk.parameters(source, state, token, time.time(), rest)

            try:
                body, paid = self._reader.ask("get_users_tweets", walk.request_of(state, token), how, walk.is_whole)
            except Unread as unread:
                yield Page([], self._cursor(), problems=(f"@{name}: {unread}",))
                return
            step = walk.step(source, name, state, paid.sent, body, time.time())
            self._accounts[name], token = step.state, step.token
            cost = len(body.get("data", ())) * Decimal(str(source.prices.post))
            yield from self._page(step.documents, step.problems, paid, cost)
            if step.done:
                return

    def _page(
        self, documents: list[Document], problems: Iterable[str], paid: Reservation, cost: Decimal
    ) -> Iterator[Page]:
        """Have it kept, and then say what it cost. What cost nothing is kept with what comes after."""
        self._quiet += 1
        if documents or cost or self._quiet >= QUIET:
            self._quiet = 0
            yield Page(documents, self._cursor({"id": str(paid.id), "cost": str(cost)}), problems=tuple(problems))
        elif problems:
            yield Page([], self._cursor(), problems=tuple(problems))
        self._reader.settle(paid.id, cost)

    def _cursor(self, unsettled: dict[str, Any] | None = None) -> Cursor:
        """A copy, as it is now."""
        cursor: Cursor = {"accounts": dict(self._accounts)}
        if self._next:
            cursor["next"] = self._next
        if unsettled:
            cursor["unsettled"] = unsettled
        return cursor
