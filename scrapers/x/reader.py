"""One request to X: reserved, sent, waited for where X says so, and what its answers mean."""

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mynah.bot.sources.x import XPosts
from mynah.database import silences, spend
from mynah.database.spend import Reservation, Sent
from mynah.errors import MynahError
from mynah.failed_request import brief, never_sent
from mynah.x_client import api_address, open_client, said
from scrapers.page import Context

if TYPE_CHECKING:
    import requests

BACK_OFF = (1.0, 5.0, 25.0)  # seconds until a request without a good answer is sent again
MAX_WAIT = 20 * 60.0  # seconds until a limit of X ends; the longest of those that a scrape waits for takes 15 minutes
MAX_WAITS = 3  # for one request
MAX_FAILURES = 3  # accounts in a row without a good answer: then it is X that does not answer
# A 403 whose detail speaks of this is about the app, not about the account that was asked for.
ABOUT_THE_APP = re.compile(
    r"client-forbidden|unsupported-authentication|usage-capped|\bapp\b|\bproject\b", re.IGNORECASE
)


class Stop(Exception):
    """The source ends here for now, and goes on from here the next time. Says why."""


class Unread(Exception):
    """This cannot be read, and the rest can. Says why."""


def unsettled(paid: Reservation, cost: Decimal) -> dict[str, str]:
    """JSON data about a request whose page is just being kept, in case that nobody comes to say what it cost."""
    return {"id": str(paid.id), "cost": str(cost)}


class Reader:
    """Asks X for one source of a bot, and keeps account of what that costs. No connection outlasts a query."""

    def __init__(self, source: XPosts, context: Context) -> None:
        """Raises Unread where there is no token to ask with."""
        self._env = f"{source.env}X_BEARER_TOKEN"
        bearer = context.settings.x_bearer_token(source.env)
        if bearer is None:
            what = "is not set: no account on X is read; set it to the token of an app of X's developer console"
            raise Unread(f"{self._env} {what}")
        self._api = api_address(context.settings.x_api_url)
        self._client = open_client(self._api, bearer=bearer)
        self._context = context
        self._cap = Decimal(str(context.max_cost_usd))
        self._failures = 0

    def ask(
        self, method: str, request: str, how: Callable[[Decimal], Sent | None], whole: Callable[[dict[str, Any]], bool]
    ) -> tuple[dict[str, Any], Reservation]:
        """What tweepy's `method` gives, and the reservation, which says how it was asked; `settle` it.

        `request` names it; `how` is asked how it is sent for the money that is left; `whole` tells a good answer.
        Raises Stop where the money, or X's limit, is used up, Unread where X refuses this request, MynahError where it
        refuses all of them.
        """
        waits, lost = 0, ""
        for pause in (0.0, *BACK_OFF):
            if lost:
                self.say(f"X gives no good answer ({lost}): asking again in {pause:.0f} s")
                time.sleep(pause)
            while True:
                reservation = self._reserve(request, how)
                try:
                    body = self._send(method, reservation, whole)
                except _Limited as limited:
                    waits += 1
                    self._wait(limited, waits)
                except _Lost as error:
                    lost = str(error)
                    break
                else:
                    self._failures = 0
                    return body, reservation
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise MynahError(f"X at {self._api} gives no good answer, time after time ({lost}): run again later")
        raise Unread(f"X gives no good answer ({lost}): it is asked again the next time")

    def settle(self, id: UUID, cost: Decimal) -> None:
        """Say what a request cost, after its page is kept."""
        with self._context.settings.connect() as connection:
            spend.settle(connection, id, cost)

    def settle_left(self, left: dict[str, str]) -> None:
        """Say what a request cost whose run was killed before it could: what `unsettled` gave, read again."""
        self.settle(UUID(left["id"]), Decimal(left["cost"]))

    def tell_silent(self, accounts: list[str]) -> None:
        """Say which accounts used to give posts and have none any more, once all were asked."""
        with self._context.settings.connect() as connection:
            silences.replace(connection, self._context.bot, self._context.name, accounts)

    def _reserve(self, request: str, how: Callable[[Decimal], Sent | None]) -> Reservation:
        bot, source = self._context.bot, self._context.name
        with self._context.settings.connect() as connection:
            reservation = spend.reserve(connection, bot, source, request, self._cap, how)
            spent = spend.spent(connection, bot)
        if reservation is None:
            month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(day=1)
            cap = f"scrape.max_cost_usd={self._context.max_cost_usd:g}"
            raise Stop(
                f"stops here: ${spent:.2f} of {cap} are spent this month, and the rest pays for no more; "
                f"it goes on on {month:%Y-%m-%d}, or with a higher cap"
            )
        return reservation

    def _send(self, method: str, reservation: Reservation, whole: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The answer. What X did not serve is settled at once; what it may have served stays reserved."""
        import requests
        import tweepy

        try:
            body = getattr(self._client, method)(**reservation.sent)
        except tweepy.HTTPException as error:
            self.settle(reservation.id, Decimal(0))
            raise self._refused(error.response) from None
        except (requests.RequestException, ValueError) as error:
            if never_sent(error):
                self.settle(reservation.id, Decimal(0))
            raise _Lost(brief(error)) from None
        if not isinstance(body, dict) or not whole(body):
            raise _Lost("a 200 that says nothing")
        return body

    def _refused(self, response: "requests.Response") -> Exception:
        """What a status of X that is no 200 comes to."""
        detail, kind = said(response)
        words = f"X says {response.status_code}: {detail}"
        match response.status_code:
            case 429:
                return _Limited(response, words)
            case status if status >= 500 or status == 408:
                return _Lost(words)
            case 401:
                return MynahError(f"{words}: check {self._env}, a token of X's developer console")
            case 402:
                return MynahError(f"{words}: add credits in X's developer console")
            case 403 if ABOUT_THE_APP.search(f"{kind} {detail}"):
                return MynahError(f"{words} Check what the app of {self._env} may do in X's developer console")
        return Unread(words)

    def _wait(self, limited: "_Limited", waits: int) -> None:
        """Wait until the limit ends. Raises Stop where X does not say when, or too late."""
        seconds = limited.seconds()
        if seconds is None or seconds > MAX_WAIT or waits > MAX_WAITS:
            later = "" if seconds is None else f" until {_clock(seconds)}"
            raise Stop(f"stops here: {limited}{later}; run again later, and it goes on from here")
        self.say(f"X's limit of requests is reached: waiting {seconds:.0f} s, until {_clock(seconds)}")
        time.sleep(seconds)

    def say(self, line: str) -> None:
        """Tell whoever watches."""
        where = f"bot {self._context.bot}, source {self._context.name}"
        print(f"{where}: {line}", file=sys.stderr, flush=True)


class _Lost(Exception):
    """No good answer; X may have served the request all the same."""


class _Limited(Exception):
    """A 429."""

    def __init__(self, response: "requests.Response", words: str) -> None:
        super().__init__(words)
        self._headers = response.headers

    def seconds(self) -> float | None:
        """How long the limit still holds, by X's own clock; None where X does not say."""
        for limit in ("x-app-limit-24hour", "x-rate-limit"):
            reset = self._headers.get(f"{limit}-reset", "")
            if reset.isdecimal() and (limit == "x-rate-limit" or self._headers.get(f"{limit}-remaining") == "0"):
                try:
                    now = parsedate_to_datetime(self._headers.get("date", "")).timestamp()
                except ValueError:
                    now = time.time()
                return max(0.0, int(reset) - now) + 1
        after = self._headers.get("retry-after", "")
        return float(after) if after.isdecimal() else None


def _clock(seconds: float) -> str:
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"
