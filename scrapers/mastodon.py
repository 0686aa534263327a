"""The mastodon source: the public posts of accounts, each by its own server's API, from the newest post back."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import mastodon

from mynah.bot.sources.mastodon import MastodonSource
from mynah.document import Document
from mynah.errors import MynahError
from scrapers.markup import plain_text
from scrapers.page import Context, Cursor, Page
from scrapers.session import open_session
from scrapers.turns import in_turn
from scrapers.walk import Id, Stretch, walk

PAUSE = 1.0  # seconds between two pages: a server answers 300 requests in 5 minutes
PAGE = 40  # posts: the most that a server gives
HINTS = {401: ": it shows nothing without a login", 410: ": the account was suspended or deleted"}


def scrape(source: MastodonSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts of the accounts that are newer than what was read before, each account from the newest back.

    The cursor holds, by account, its `id` there and the state of its walk.
    Raises MynahError with one line where no account can be read.
    """
    session = open_session(context.settings.allow_private)

    def scrape_account(account: str, state: Cursor) -> Iterator[Page]:
        server = mastodon.Mastodon(
            api_base_url=context.settings.mastodon_url or f"https://{account.partition('@')[2]}",
            session=session,
            ratelimit_method="throw",  # the session has waited already
            user_agent="mynah",
        )
        found = _asked(dict, server, "account_lookup", account)
        own = str(found.get("id"))
        if moved := found.get("moved"):
            yield Page([], None, problems=(f"moved to {moved.get('url')}: name that one too",))
        if state.get("id") != own:
            state = {}  # on another server, or of another who took the name, posts have other ids

        def read(before: Id | None) -> Stretch:
            if before is not None:
                time.sleep(PAUSE)
            statuses = _asked(list, server, "account_statuses", own, max_id=before, limit=PAGE)
            posts: dict[Id, Document | None] = {str(of["id"]): _document(of, source, account, own) for of in statuses}
            ends = not posts or any(_before(status, source.since) for status in statuses)
            return Stretch(posts, None if ends else [*posts][-1])

        for page in walk(state, source.limit, read):
            yield replace(page, cursor={"id": own, **(page.cursor or {})})

    yield from in_turn(source.accounts, cursor, scrape_account)


def _asked(kind: type, server: mastodon.Mastodon, what: str, *arguments: Any, **named: Any) -> Any:
    """What the server answers: a `kind`. Raises MynahError with one line where it does not."""
    try:
        if isinstance(answer := getattr(server, what)(*arguments, **named), kind):
            return answer
    except mastodon.MastodonNetworkError as error:
        said = error.__context__  # ours, which the library packed up
        raise MynahError(str(said if isinstance(said, MynahError) else error)) from None
    except mastodon.MastodonNotFoundError:
        raise MynahError(f"{server.api_base_url} knows no such account: it was renamed or deleted") from None
    except mastodon.MastodonRatelimitError as error:
        raise MynahError(f"{server.api_base_url} wants to be left alone ({error}): try again later") from None
    except mastodon.MastodonAPIError as error:
        if len(error.args) == 4:  # else it is no JSON
            _, status, reason, _said = error.args
            raise MynahError(f"{server.api_base_url} answers {status} {reason}{HINTS.get(status, '')}") from None
    raise MynahError(f"{server.api_base_url} does not answer as Mastodon does: check the account's instance")


def _document(status: Any, source: MastodonSource, account: str, own: str) -> Document | None:
    """The document in a post; None where it has no text or is not wanted."""
    boosted, to = status.get("reblog"), status.get("in_reply_to_account_id")
    said = boosted or status
    text = plain_text(said.get("content") or "")
    answers = to is not None and str(to) != own
    if not text or _before(status, source.since) or (boosted and not source.boosts) or (answers and not source.replies):
        return None
    counts = {"likes": "favourites_count", "replies": "replies_count", "boosts": "reblogs_count"}
    return Document(
        id=str(status.get("uri") or f"{account}/{status['id']}"),
        text=text,
        author=account,
        created_at=_time(status),
        numbers={name: said[key] for name, key in counts.items() if isinstance(said.get(key), int)},
        repost=bool(boosted),
    )


def _time(status: Any) -> str | None:
    created = status.get("created_at")
    return created.isoformat() if isinstance(created, datetime) else created


def _before(status: Any, since: date | None) -> bool:
    return since is not None and (_time(status) or "~") < since.isoformat()
