"""An account on X: posting and looking through tweepy, with OAuth 1.0a's four keys.

What X answers becomes one of the outcomes of `jobs.accounts`; what is not plainly an answer is `Unknown`.
Facts of X used here: duplicate text is a 403 with the detail below; a time-out or a 5xx says nothing about
whether the post exists; a fresh post may be missing from the timeline for some seconds.
"""

import html
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from jobs.accounts import Duplicate, Outcome, Page, Posted, Published, Refused, Shown, Unavailable, Unknown
from mynah import bot as bot_file
from mynah.database.posts import Post
from mynah.errors import MynahError, UsageError
from mynah.failed_request import brief, never_sent, short
from mynah.rules import Rejection, long
from mynah.settings import X_KEYS, Settings
from mynah.tweet import urls
from mynah.x_client import api_address, open_client, said

if TYPE_CHECKING:  # imported when the account is first used
    import requests

REACH = 3200  # posts that a timeline goes back
MARGIN = timedelta(minutes=10)  # how far X's clock and the database's may differ
POST, POST_WITH_LINK, OWN_POST = Decimal("0.015"), Decimal("0.20"), Decimal("0.001")  # dollars since 2026-02
NUMBERS = {"like_count": "likes", "retweet_count": "reposts", "reply_count": "replies", "quote_count": "quotes"}
NUMBERS["impression_count"] = "views"
DUPLICATE = "duplicate content"
# Words in the detail of a 403 that speak of the account or the app, not of the text.
NOT_THE_TEXT = re.compile(r"permi|suspend|locked|automated|enroll|authenticat|oauth|\bapp\b|\bclient\b", re.IGNORECASE)


def open_account(bot: str, name: str, section: bot_file.XAccount, settings: Settings) -> "XAccount":
    """The account whose keys are in the environment. Raises UsageError where they are not."""
    keys = settings.x_keys(section.env)
    if keys is None:
        names = ", ".join(section.env + key for key in X_KEYS)
        raise UsageError(f"account {name} of bot {bot} posts to X and its keys are not set: set {names}")
    settle = timedelta(minutes=section.settle_minutes)
    return XAccount(*keys, api_url=settings.x_api_url, settle=settle, max_weight=section.max_weight)


class XAccount:
    """The account that four keys belong to. `api_url` moves X's host: the simulator, a proxy."""

    idempotent: ClassVar[bool] = False
    page_size: ClassVar[tuple[int, int]] = (5, 100)
    read_cost: ClassVar[Decimal] = OWN_POST

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        access_token: str,
        access_token_secret: str,
        *,
        api_url: str | None = None,
        settle: timedelta = timedelta(minutes=10),
        max_weight: int | None = None,
    ) -> None:
        """Raises UsageError where `api_url` is no address of a server."""
        self.settle, self._max_weight = settle, max_weight
        self._keys = (api_key, api_secret, access_token, access_token_secret)
        self._api = api_address(api_url)
        is_x = (urlsplit(self._api).hostname or "").endswith((".x.com", ".twitter.com"))
        self._site = "https://x.com" if is_x else self._api
        self.name = "X" if is_x else f"X at {self._api}"

    def post(self, post: Post) -> Outcome:
        """Post the text."""
        import tweepy

        try:
            reply = self._client.create_tweet(text=post.text, user_auth=True)
            id = reply["data"]["id"]
        except tweepy.TooManyRequests as error:
            return Unavailable("X's limit of posts is reached", _reset(error.response.headers))
        except tweepy.HTTPException as error:
            return _outcome(error.response)
        except Exception as error:  # whatever it is, the request may have reached X, unless there was no connection
            if never_sent(error):
                return Unavailable(f"no connection to {self._api} ({brief(error)})")
            return Unknown(f"the answer was lost ({brief(error)})")
        return Posted(self._published(id))

    def cost(self, text: str) -> Decimal:
        return POST_WITH_LINK if urls(text) else POST

    def long(self, text: str) -> Rejection | None:
        return long(text, self._max_weight) if self._max_weight else None

    def record(self, post: Post) -> None:
        """X takes nothing by which it would know a post again."""

    def own_posts(self, since: datetime, after: str | None, size: int, cursor: str | None) -> Page:
        """A page of the account's own timeline. Its cursor is the id that the next page's posts are older than, and how
        many were read: X shows the last REACH.

        Raises MynahError where the timeline cannot be read.
        """
        until, _, read = (cursor or "").partition(" ")
        reply = self._read(
            "get_users_tweets",
            self._user_id,
            max_results=size,
            since_id=after,
            until_id=until or None,
            tweet_fields=["created_at", "entities", "note_tweet", "public_metrics"],
            user_auth=True,
        )
        page, meta = reply.get("data", []), reply.get("meta", {})
        shown = [self._shown(each) for each in page]
        if reply.get("errors") or not (page or meta.get("result_count") == 0):
            why = f"its answer is not whole ({short(reply.get('errors', reply))})"
            return Page(shown, cursor, str(self._unreadable(why)))
        # With `after`, X itself leaves out what is older, whatever its clock shows.
        old = page and after is None and datetime.fromisoformat(page[-1]["created_at"]) < since - MARGIN
        count = int(read or 0) + len(page)
        if page and not old and meta.get("next_token"):
            return Page(shown, f"{page[-1]['id']} {count}")
        if not old and count >= REACH:
            return Page(shown, cursor, str(self._unreadable(f"more than {REACH} posts since {since:%Y-%m-%d %H:%M}")))
        return Page(shown, None)

    def same(self, post: Post, shown: Shown) -> bool | None:
        return _same(post.text, shown.data)

    @cached_property
    def _user_id(self) -> str:
        me = self._read("get_me", user_auth=True).get("data")
        if not isinstance(me, dict) or "id" not in me:
            raise self._unreadable("it does not say who this account is")
        return str(me["id"])

    def _read(self, method: str, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """Call one of tweepy's reading methods; a failure, or an answer that is no JSON object, is a MynahError."""
        try:
            reply = getattr(self._client, method)(*arguments, **keywords)
        except Exception as error:
            raise self._unreadable(brief(error)) from None
        if not isinstance(reply, dict):
            raise self._unreadable(short(reply))
        return reply

    def _unreadable(self, why: str) -> MynahError:
        return MynahError(f"{self.name} does not tell what this account has posted: {why}; run again later")

    def _shown(self, post: dict[str, Any]) -> Shown:
        counted = post.get("public_metrics") or {}
        numbers = {name: int(counted[theirs]) for theirs, name in NUMBERS.items() if theirs in counted}
        return Shown(self._published(post["id"]), post["text"], post, numbers)

    def _published(self, id: str) -> Published:
        return Published(id, f"{self._site}/i/web/status/{id}")

    @cached_property
    def _client(self) -> Any:
        return open_client(self._api, keys=self._keys)


def _outcome(response: "requests.Response") -> Outcome:
    """What X's refusal means."""
    status = response.status_code
    detail, kind = said(response)
    words = f"X says {status}: {detail}"
    if status >= 500 or status == 408:
        return Unknown(words)
    if status == 403 and DUPLICATE in detail.lower():
        return Duplicate(words)
    if status == 400 or (status == 403 and kind == "about:blank" and not NOT_THE_TEXT.search(detail)):
        return Refused(words)
    hints = {
        401: "check the four X_* keys, and this machine's clock",
        402: "add credits in X's developer console",
        403: "check the account and what its app may do in X's developer console",
    }
    return Unavailable(f"{words} ({hints.get(status, 'check X_API_URL')})")


def _reset(headers: Any) -> datetime | None:
    """When the limit that was hit is lifted: the day's where that one is used up, else the quarter hour's."""
    for limit in ("x-user-limit-24hour", "x-app-limit-24hour", "x-rate-limit"):
        reset = headers.get(f"{limit}-reset", "")
        if reset.isdecimal() and (limit == "x-rate-limit" or headers.get(f"{limit}-remaining") == "0"):
            return datetime.fromtimestamp(int(reset), UTC)
    return None


def _same(text: str, post: dict[str, Any]) -> bool | None:
    """Whether `post` from the timeline is the post of `text`; None where only the links tell, and they differ.

    X gives &amp; &lt; &gt; for & < >, shortens a long text but gives all of it as a note, drops white space at
    the ends, and gives every link as https://t.co/CODE. So each of those stands for any run without a space,
    and is then compared with what X says that it stands for.
    """
    whole = post.get("note_tweet") or post
    shown = unicodedata.normalize("NFC", whole.get("text") or post["text"])
    ours = " ".join(unicodedata.normalize("NFC", text).split())
    for candidate in (html.unescape(shown), shown):
        parts = re.split(r"(https://t\.co/\w+)", " ".join(candidate.split()))
        pattern = "".join(r"(\S+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        if match := re.fullmatch(pattern, ours):
            expanded = {
                link["url"]: link.get("expanded_url", "") for link in whole.get("entities", {}).get("urls") or ()
            }
            told = [(ours_, expanded.get(short)) for ours_, short in zip(match.groups(), parts[1::2], strict=True)]
            return True if all(link is None or _bare(link) == _bare(ours_) for ours_, link in told) else None
    return False


def _bare(link: str) -> str:
    return re.sub(r"^https?://|/$", "", link.casefold())
