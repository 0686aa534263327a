"""An account on a server of Mastodon: posting and reading back through Mastodon.py, with the account's access token.

What the server answers becomes one of the outcomes of `jobs.accounts`. The library raises the same class for a status
that was made, but answered with no JSON, and for one that was refused: so the answer itself decides, by its status.
An Idempotency-Key is stored with the claim and sent along. It helps and does not prove: a server may make a second
status while the first is at work, and may answer a repeat with 500 (docs.joinmastodon.org/methods/statuses).
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from jobs.accounts import FREE, Outcome, Page, Posted, Published, Record, Refused, Shown, Unavailable, Unknown
from jobs.accounts.mastodon.text import plain, same_text
from mynah import bot as bot_file
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from mynah.failed_request import brief, never_sent, short
from mynah.lengths import MASTODON_LINK, MASTODON_MAX, mastodon_length
from mynah.rules import Rejection
from mynah.settings import Settings

if TYPE_CHECKING:  # both are imported when the account is first used
    import mastodon
    import requests

TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two bytes of the answer; the library would wait 300
MARGIN = timedelta(minutes=10)  # how far the server's clock and the database's may differ
MOVED = (301, 302, 307, 308)
NUMBERS = {"favourites_count": "likes", "reblogs_count": "reposts", "replies_count": "replies"}
NUMBERS["quotes_count"] = "quotes"
HINTS = {
    401: "check MASTODON_ACCESS_TOKEN",
    403: "check the account, and whether its token may write statuses and read accounts and statuses",
    404: "check the account's server",
}


def open_account(bot: str, name: str, section: bot_file.MastodonAccount, settings: Settings) -> "MastodonAccount":
    """The account whose token is in the environment. Raises UsageError where it, or the server, is not set."""
    token = settings.account_key("MASTODON_ACCESS_TOKEN", section.env)
    server = section.server or settings.account_key("MASTODON_SERVER", section.env)
    who = f"account {name} of bot {bot} posts to Mastodon and"
    if not token:
        raise UsageError(f"{who} has no access token: set {section.env}MASTODON_ACCESS_TOKEN")
    if not server:
        raise UsageError(f"{who} has no server: write its key `server`, or set {section.env}MASTODON_SERVER")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise UsageError(
            f"{section.env}MASTODON_SERVER={server}: write a server's address, e.g. https://mastodon.social"
        )
    settle = timedelta(minutes=section.settle_minutes)
    return MastodonAccount(server, token, settle=settle, visibility=section.visibility, language=section.language)


class MastodonAccount:
    """The account that an access token of `server` belongs to."""

    idempotent: ClassVar[bool] = False
    page_size: ClassVar[tuple[int, int]] = (1, 40)
    read_cost: ClassVar[Decimal] = FREE

    def __init__(
        self,
        server: str,
        token: str,
        *,
        settle: timedelta = timedelta(minutes=10),
        visibility: str = "public",
        language: str | None = None,
    ) -> None:
        self._server, self._token, self.settle = server.rstrip("/"), token, settle
        self._how = {"visibility": visibility, "language": language}
        self.name = f"Mastodon at {self._server}"

    def post(self, post: Post) -> Outcome:
        """Post the text."""
        try:
            status = self._client.status_post(post.text, idempotency_key=(post.record or {}).get("key"), **self._how)
            return Posted(_shown(status).published)
        except Exception as error:  # whatever it is, the request may have arrived, unless there was no connection
            return self._outcome(error)

    def cost(self, text: str) -> Decimal:
        return FREE

    def long(self, text: str) -> Rejection | None:
        """A text that any server takes asks for nothing; else the server is asked for its limit, once."""
        if mastodon_length(text) <= MASTODON_MAX:
            return None
        most, link = self._limits
        if (length := mastodon_length(text, link)) > most:
            return Rejection("long", f"it has {length} of at most {most} characters of {self.name}")
        return None

    def record(self, post: Post) -> Record:
        """The Idempotency-Key: the same one for all attempts at a text."""
        return post.record or {"key": uuid4().hex}

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        """A page of the account's own statuses. Its cursor is the id that the next page's are older than.

        Raises MynahError where they cannot be read.
        """
        found = self._read("account_statuses", self._user_id, max_id=cursor, since_id=after, limit=size)
        if not isinstance(found, list):
            raise self._unreadable(short(found))
        if not found:
            return Page([], None)
        try:
            shown = [_shown(status) for status in found if not status.get("reblog")]
            oldest, last = found[-1]["created_at"], str(found[-1]["id"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(brief(error)) from None
        # With `after`, the server itself leaves out what is older, whatever its clock shows.
        old = after is None and isinstance(oldest, datetime) and oldest < since - MARGIN
        return Page(shown, None if old else last)

    def same(self, post: Post, shown: Shown) -> bool | None:
        return same_text(post.text, str(shown.data["content"]))

    @cached_property
    def _user_id(self) -> str:
        me = self._read("account_verify_credentials")
        if not isinstance(me, dict) or not me.get("id"):
            raise self._unreadable("it does not say who this account is")
        return str(me["id"])

    @cached_property
    def _limits(self) -> tuple[int, int]:
        """The most characters of a status, and how many a link counts for. Raises MynahError."""
        try:
            # The library puts a / behind it, which some servers do not know.
            said = self._session.request("GET", f"{self._server}/api/v2/instance").json()["configuration"]["statuses"]
            return int(said["max_characters"]), int(said.get("characters_reserved_per_url") or MASTODON_LINK)
        except Exception as error:
            why = f"does not say how long a status may be ({brief(error)})"
            raise MynahError(f"{self.name} {why}; run again later") from None

    def _read(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call one of the library's reading methods; a failure is a MynahError."""
        try:
            return getattr(self._client, method)(*arguments, **keywords)
        except Exception as error:
            raise self._unreadable(brief(error)) from None

    def _unreadable(self, why: str) -> MynahError:
        return MynahError(f"{self.name} does not tell what this account has posted: {why}; run again later")

    def _outcome(self, error: Exception) -> Outcome:
        """What an answer other than a status means."""
        response: requests.Response | None = self._session.answer
        if response is None:
            cause = error.__context__ or error  # the library packs it up
            if never_sent(cause):
                return Unavailable(f"no connection to {self._server} ({brief(cause)})")
            return Unknown(f"the answer was lost ({brief(cause)})")
        code, said = response.status_code, _said(response)
        words = f"{self.name} says {code}: {said}"
        if code in MOVED:
            elsewhere = response.headers.get("location")
            return Unavailable(f"{self._server} sends us to {elsewhere}: write the account's own server")
        if code == 429:
            until = self._client.ratelimit_reset
            return Unavailable(f"{self.name}'s limit is reached", datetime.fromtimestamp(until, UTC) if until else None)
        if code >= 500 or code < 400 or code == 408:
            return Unknown(words)
        if code in (400, 422):
            return Refused(words)
        return Unavailable(f"{words} ({HINTS.get(code, 'check the account')})")

    @cached_property
    def _client(self) -> "mastodon.Mastodon":
        """The library; it does not wait after a 429 and post again by itself."""
        import mastodon

        return mastodon.Mastodon(
            access_token=self._token,
            api_base_url=self._server,
            ratelimit_method="throw",
            session=self._session,
            user_agent="mynah",
        )

    @cached_property
    def _session(self) -> Any:
        """Asks with our time-outs, follows no redirect with the token, and keeps the last answer."""
        import requests

        class Session(requests.Session):
            answer: requests.Response | None = None
            """None: there was none."""

            def request(self, *arguments: Any, **keywords: Any) -> requests.Response:
                self.answer = None
                self.answer = super().request(*arguments, **keywords | {"timeout": TIMEOUT, "allow_redirects": False})
                return self.answer

        return Session()


def _said(response: "requests.Response") -> str:
    try:
        return short(response.json()["error"])
    except (ValueError, LookupError, TypeError):
        return short(response.reason)


def _shown(status: Any) -> Shown:
    if not (status["id"] and (status["url"] or status["uri"])):
        raise ValueError("a status without an id")  # the library makes one of any object
    numbers = {name: int(status[theirs]) for theirs, name in NUMBERS.items() if isinstance(status.get(theirs), int)}
    published = Published(str(status["id"]), str(status["url"] or status["uri"]))
    return Shown(published, plain(status["content"]), {"content": status["content"]}, numbers)
