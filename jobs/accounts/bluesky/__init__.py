"""An account on Bluesky, or on a server of one's own: a post is a record under a key of our choice.

The key and the very record are stored with the claim. `putRecord` with `swapRecord: null` takes the same one again, at
once or late, and keeps one post; another under the same key is refused with InvalidSwap, never overwritten. So nothing
is ever in doubt for long: sending it again settles, and the key is found among the account's records. (`createRecord`
would make a second post.)
"""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import ClassVar

import httpx

from jobs.accounts import FREE, Outcome, Page, Posted, Published, Record, Refused, Shown, Unavailable, Unknown
from jobs.accounts.bluesky.client import TIMEOUT, Answer, ask, call
from jobs.accounts.bluesky.record import COLLECTION, first_key, new_key, new_record, too_long
from jobs.accounts.bluesky.session import NotSignedIn, Session, Sessions
from mynah import bot as bot_file
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from mynah.failed_request import short
from mynah.rules import Rejection
from mynah.settings import Settings

NUMBERS = {"likeCount": "likes", "repostCount": "reposts", "replyCount": "replies", "quoteCount": "quotes"}
VIEW_TIMEOUT = 5.0  # seconds: likes are worth no long wait
STALE = ("ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired")


def open_account(bot: str, name: str, section: bot_file.BlueskyAccount, settings: Settings) -> "BlueskyAccount":
    """The account whose app password is in the environment. Raises UsageError where it, or its name, is not set."""
    variable = f"{section.env}BLUESKY_APP_PASSWORD"
    password = settings.account_key("BLUESKY_APP_PASSWORD", section.env)
    handle = section.handle or settings.account_key("BLUESKY_HANDLE", section.env)
    who = f"account {name} of bot {bot} posts to Bluesky and"
    if not password:
        raise UsageError(f"{who} has no app password: make one in Bluesky's settings and set {variable}")
    if not handle:
        raise UsageError(f"{who} has no name: write its key `handle`, or set {section.env}BLUESKY_HANDLE")
    return BlueskyAccount(
        Sessions(section.server, handle, password, variable, settings.connect),
        section.server,
        handle,
        settle=timedelta(minutes=section.settle_minutes),
        language=section.language,
        view=settings.bluesky_url,
    )


class BlueskyAccount:
    """The account `handle` that signs in at `server`. `view` counts likes: a server that sees all of Bluesky."""

    idempotent: ClassVar[bool] = True
    page_size: ClassVar[tuple[int, int]] = (1, 25)  # as many as are counted at once
    read_cost: ClassVar[Decimal] = FREE

    def __init__(
        self,
        sessions: Sessions,
        server: str,
        handle: str,
        *,
        settle: timedelta = timedelta(minutes=10),
        language: str | None = None,
        view: str = "https://public.api.bsky.app",
    ) -> None:
        self._sessions, self._handle, self._language, self._view = sessions, handle, language, view.rstrip("/")
        self.settle = settle
        self.name = "Bluesky" if server == "https://bsky.social" else f"Bluesky at {server}"

    def post(self, post: Post) -> Outcome:
        """Put the record; once more where the server said that the session was over, before it did anything."""
        record = post.record or self.record(post)
        try:
            session = self._sessions.get(self._http)
            answer = self._put(session, record)
            if answer.status in (400, 401) and answer.error in STALE:
                answer = self._put(self._sessions.get(self._http, stale=session), record)
        except NotSignedIn as error:
            return Unavailable(error.reason, error.until)
        if answer.error == "InvalidSwap":
            return self._there(session, record)
        return self._outcome(answer)

    def cost(self, text: str) -> Decimal:
        return FREE

    def long(self, text: str) -> Rejection | None:
        return too_long(text)

    def record(self, post: Post) -> Record:
        """The record and its key. Another attempt at the same text keeps the key, and has a time of its own: the one
        before came to nothing, and a post of yesterday's time is seen by nobody."""
        key = post.record["rkey"] if post.record else new_key(post.claimed_at)
        return {"rkey": key, "record": new_record(post.text, post.claimed_at, self._language)}

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        """A page of the account's own records. Their keys tell their time by Postgres' clock: `after` is not needed.
        Another server counts the likes; where it does not answer, they are left out.

        Raises MynahError where the records cannot be read.
        """
        try:
            session = self._sessions.get(self._http)
            query = {"repo": session.did, "collection": COLLECTION, "limit": size}
            query |= {"cursor": cursor} if cursor else {}
            answer = ask(self._http, f"{session.pds}/xrpc/com.atproto.repo.listRecords", query)
            if answer.status != 200:
                raise ValueError(answer.words)
            found = [(str(one["uri"]), str(one["value"].get("text", ""))) for one in answer.body["records"]]
        except (NotSignedIn, KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"{self.name} does not tell what {self._handle} has posted ({short(error)})"
            raise MynahError(f"{why}; run again later") from None
        counted = self._counted([uri for uri, _ in found])
        shown = [Shown(self._published(uri), text, {"uri": uri}, counted.get(uri, {})) for uri, text in found]
        old = not found or _key(found[-1][0]) < first_key(since)
        return Page(shown, None if old else answer.body.get("cursor"))

    def same(self, post: Post, shown: Shown) -> bool:
        return bool(post.record) and (post.record or {}).get("rkey") == _key(shown.data["uri"])

    def _counted(self, uris: list[str]) -> dict[str, dict[str, int]]:
        """What people made of posts, by their addresses, as far as it is told."""
        if not uris:
            return {}
        answer = ask(self._http, f"{self._view}/xrpc/app.bsky.feed.getPosts", {"uris": uris}, timeout=VIEW_TIMEOUT)
        posts = answer.body.get("posts") if answer.status == 200 else None
        return {
            str(post.get("uri")): {
                name: post[theirs] for theirs, name in NUMBERS.items() if isinstance(post.get(theirs), int)
            }
            for post in (posts if isinstance(posts, list) else ())
            if isinstance(post, dict)
        }

    def _put(self, session: Session, record: Record) -> Answer:
        what = {"repo": session.did, "collection": COLLECTION, "rkey": record["rkey"], "record": record["record"]}
        url = f"{session.pds}/xrpc/com.atproto.repo.putRecord"
        return call(self._http, url, session.access, what | {"swapRecord": None})

    def _there(self, session: Session, record: Record) -> Outcome:
        """What stands under the key already: an earlier attempt at this text, which had another time."""
        query = {"repo": session.did, "collection": COLLECTION, "rkey": record["rkey"]}
        answer = ask(self._http, f"{session.pds}/xrpc/com.atproto.repo.getRecord", query)
        value = answer.body.get("value")
        if not isinstance(value, dict):
            return Unknown(f"a post stands under its key, and cannot be read ({answer.words})")
        if value.get("text") != record["record"]["text"]:
            return Refused(f"another text stands under its key: {answer.body.get('uri')}")
        return Posted(self._published(str(answer.body["uri"])))

    def _outcome(self, answer: Answer) -> Outcome:
        """What an answer to putRecord means."""
        words = f"{self.name} says {answer.words}"
        match answer.status:
            case 0 if answer.sent:
                return Unknown(answer.words)
            case 0:
                return Unavailable(answer.words)
            case 200 if isinstance(answer.body.get("uri"), str):
                return Posted(self._published(answer.body["uri"]))
            case 429:
                return Unavailable(f"{self.name}'s limit is reached", answer.until)
            case 400 if answer.error == "InvalidRequest" and "record" in answer.words:
                return Refused(words)
            case status if status < 300 or status >= 500 or status == 408:
                return Unknown(words)
        return Unavailable(f"{words} (check the account)")

    def _published(self, uri: str) -> Published:
        """A post by its address at://DID/COLLECTION/KEY."""
        return Published(uri, f"https://bsky.app/profile/{self._handle}/post/{_key(uri)}")

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(timeout=TIMEOUT, headers={"user-agent": "mynah"})


def _key(uri: str) -> str:
    return uri.rpartition("/")[2]
