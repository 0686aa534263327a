"""All accounts of a source of X, one after the other, from where the last run stopped.

The cursor holds `accounts`, the state of each by its name (see walk.py); `next`, the account that is being read; and
`unsettled`, the reservation of this page and what it cost, in case that nobody comes to say so.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from mynah.bot.sources.x import XPosts, XSource
from mynah.database.spend import Reservation, Sent
from mynah.document import Document
from mynah.progress import progress
from scrapers.page import Context, Cursor, Page
from scrapers.x import walk
from scrapers.x.names import posts_of, read_names, read_users
from scrapers.x.reader import Reader, Stop, Unread, unsettled

LOOK_UP = 100  # names per request, as X allows
QUIET = 100  # accounts without anything new that may pass until what is known of them is kept


def scrape(source: XSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts of each account that are newer than what was read before.

    What concerns one account is a problem, and the rest goes on; so is the end of the money. Raises MynahError with one
    line where X refuses everything.
    """
    try:
        reader = Reader(source, context)
    except Unread as unread:
        yield Page([], cursor, problems=(str(unread),))
        return
    names, problems = read_names(source.accounts, source.accounts_file, context.settings)
    if problems:
        yield Page([], cursor, problems=tuple(problems))
    yield from Sweep(source, cursor or {}, reader).pages(names, context.name)


class Sweep:
    """One run over the accounts."""

    def __init__(
        self, source: XPosts, cursor: Cursor, reader: Reader, known: Mapping[str, walk.State] = MappingProxyType({})
    ) -> None:
        """`known` are the states of accounts that need not be looked up; they are in no cursor until they are read."""
        self._source = source
        self._reader = reader
        self._known = known
        self._accounts: dict[str, walk.State] = dict(cursor.get("accounts", {}))
        self._next: str | None = cursor.get("next")
        self._missing: set[str] = set()  # names that X does not know
        self._silent: set[str] = set()  # names that used to give posts, and have none any more
        self._quiet = 0
        if left := cursor.get("unsettled"):
            reader.settle_left(left)

    def pages(self, names: list[str], title: str) -> Iterator[Page]:
        start = names.index(self._next) if self._next in names else 0
        order = names[start:] + names[:start]
        try:
            with progress(f"{title}: accounts", len(order)) as advance:
                for done, name in enumerate(order, 1):
                    self._next = name
                    if name in self._known:
                        self._accounts.setdefault(name, self._known[name])
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
            self._reader.tell_silent(sorted(self._silent))
            yield Page([], self._cursor())

    def _look_up(self, names: list[str]) -> Iterator[Page]:
        """The numbers of the first accounts of `names`: of as many as the rest pays for with a page of posts each."""
        prices = self._source.prices
        user, first = Decimal(str(prices.user)), min(self._source.limit or walk.PAGE, walk.PAGE)
        each = user + first * Decimal(str(prices.post))

        def how(rest: Decimal) -> Sent:
            number = max(1, walk.affordable(rest, each, min(LOOK_UP, len(names))))
            return Sent({"usernames": names[:number], "user_fields": ["public_metrics"]}, number * user)

        try:
            body, paid = self._reader.ask("get_users", f"accounts from {names[0]}", how, walk.is_whole)
        except Unread as unread:  # those that are known already can be read all the same
            self._missing |= {*names}
            yield Page([], self._cursor(), problems=(f"{len(names)} accounts cannot be looked up: {unread}",))
            return
        found, problems = read_users(paid.sent["usernames"], body)
        self._accounts |= {name: {"id": one["id"], "posts": posts_of(one)} for name, one in found.items()}
        self._missing |= problems.keys()
        yield from self._page([], problems.values(), paid, len(found) * user)

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
            self._silent.add(name)
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
            yield Page(documents, self._cursor(unsettled(paid, cost)), problems=tuple(problems))
        elif problems:
            yield Page([], self._cursor(), problems=tuple(problems))
        self._reader.settle(paid.id, cost)

    def _cursor(self, left: dict[str, str] | None = None) -> Cursor:
        """A copy, as it is now."""
        cursor: Cursor = {"accounts": dict(self._accounts)}
        if self._next:
            cursor["next"] = self._next
        if left:
            cursor["unsettled"] = left
        return cursor
