"""Accounts in turn: each goes on from where it stands, and one that cannot be read does not keep the others from it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mynah.errors import MynahError
from scrapers.page import Cursor, Page


def in_turn(
    accounts: Sequence[str], cursor: Cursor | None, scrape: Callable[[str, Cursor], Iterator[Page]]
) -> Iterator[Page]:
    """Every account's pages, beginning with the account at which the last run stopped.

    `scrape(account, state)` gives pages whose cursor is the account's own state, {} the first time. The cursor here
    holds the state of each of the `accounts`, and `at` which one the last page was.
    Raises MynahError with one line where no account could be read.
    """
    states = {**cursor["accounts"]} if cursor else {}
    at = cursor["at"] if cursor and cursor["at"] in accounts else accounts[0]
    start, failed = accounts.index(at), 0
    for account in [*accounts[start:], *accounts[:start]]:
        try:
            for page in scrape(account, states.get(account, {})):
                states[account] = page.cursor
                cursor = {"at": account, "accounts": {**states}} if page.cursor else cursor
                problems = tuple(f"{account}: {problem}" for problem in page.problems)
                yield replace(page, cursor=cursor, problems=problems)
        except MynahError as error:
            failed += 1
            if failed == len(accounts):
                raise MynahError(f"{account}: {error}") from None
            yield Page([], cursor, problems=(f"{account}: {error}",))
