"""The bluesky source: the posts of accounts, each from its own server, from the newest post back.

Three kinds of requests, and every address comes out of an answer: so scrapers.fetch asks, which knows private ones.
The library atproto takes 4 s and 58 MiB to import, and would connect by itself.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from mynah.bot.sources.bluesky import BlueskySource
from mynah.document import Document
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.api import answer
from scrapers.page import Context, Cursor, Page
from scrapers.record import POSTS, first_key, read_record
from scrapers.turns import in_turn
from scrapers.walk import Id, Stretch, walk

PAUSE = 0.1  # seconds between two pages: a server answers 3,000 requests in 5 minutes
PAGE = 100  # posts: the most that a server gives


def scrape(source: BlueskySource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The posts of the accounts that are newer than what was read before, each account from the newest back.

    The cursor holds, by account, its `did` and the state of its walk.
    Raises MynahError with one line where no account can be read.
    """
    since = first_key(source.since) if source.since else ""

    def scrape_account(account: str, state: Cursor) -> Iterator[Page]:
        did, problem = _did(account, state.get("did"), context.settings)
        if problem:
            yield Page([], None, problems=(problem,))
        server = _server(did, context.settings)

        def read(before: Id | None) -> Stretch:
            if before is not None:
                time.sleep(PAUSE)
            # A server's cursor is the key of the last record that it gave.
            query = {"repo": did, "collection": POSTS, "limit": PAGE} | ({"cursor": before} if before else {})
            found = _asked(f"{server}/xrpc/com.atproto.repo.listRecords?{urlencode(query)}", context.settings)
            posts: dict[Id, Document | None] = {}
            for record in _objects(found, "records"):
                key = str(record.get("uri")).rpartition("/")[2]
                posts[key] = None if key < since else read_record(record, source, account, did)
            ends = not posts or not found.get("cursor") or any(str(key) < since for key in posts)
            return Stretch(posts, None if ends else [*posts][-1])

        for page in walk(state, source.limit, read):
            yield replace(page, cursor={"did": did, **(page.cursor or {})})

    yield from in_turn(source.accounts, cursor, scrape_account)


def _did(account: str, known: str | None, settings: Settings) -> tuple[str, str | None]:
    """An account's DID, and what is wrong with its handle."""
    if account.startswith("did:"):
        return account, None
    try:
        url = f"{settings.bluesky_url}/xrpc/com.atproto.identity.resolveHandle?{urlencode({'handle': account})}"
        did = str(_asked(url, settings).get("did"))
    except MynahError as error:
        if known is None:
            raise
        return known, f"is read as {known}, since its handle leads nowhere now; name that, if it was renamed: {error}"
    if known not in (None, did):
        raise MynahError(f"is now the handle of another account, {did}; the one that was read is {known}: name a DID")
    return did, None


def _server(did: str, settings: Settings) -> str:
    """Where an account's posts lie, by its DID document."""
    web = did.removeprefix("did:web:")
    document = _asked(f"{settings.plc_url}/{did}" if web == did else f"https://{web}/.well-known/did.json", settings)
    for service in _objects(document, "service"):
        if str(service.get("id", "")).endswith("#atproto_pds"):
            return str(service.get("serviceEndpoint")).rstrip("/")
    raise MynahError(f"{did} lies on no server: the account was deleted")


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _asked(url: str, settings: Settings) -> dict[str, Any]:
    """The JSON object at an address. Raises MynahError with one line where there is none."""
    response = answer(url, settings.allow_private)
    try:
        said = response.json()
    except ValueError:
        said = "no JSON"
    if response.status_code == 200 and isinstance(said, dict):
        return said
    why = said.get("message") if isinstance(said, dict) else said
    raise MynahError(f"{url}: answers {response.status_code} {response.reason_phrase}: {why}")
