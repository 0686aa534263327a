"""The session of an account on Bluesky: kept in Postgres, renewed in time, signed in only where nothing else helps.

Servers allow few sign-ins (30 in 5 minutes and 300 a day; beyond, a day's ban), so a password that was refused is not
tried again for a day, or until another is set. Renewing takes the old session away after a grace of hours: whoever
renews or signs in holds the row, and others wait and take what came of it.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from jobs.accounts.bluesky.client import Answer, call
from jobs.accounts.bluesky.sealed import Seal
from mynah.database import sessions
from mynah.database.sessions import Kept

if TYPE_CHECKING:
    from mynah.database.connection import Connection

EARLY = timedelta(minutes=1)  # a session is renewed so long before its end
TRY_AGAIN = timedelta(days=1)  # when a refused password is tried once more
BUSY = timedelta(minutes=5)  # where a limit's answer does not say until when
SERVER = "com.atproto.server"


@dataclass(frozen=True)
class Session:
    """Where the account is signed in: what its calls are sent with, and where to."""

    did: str
    access: str
    refresh: str
    pds: str
    """The server that the account lies on."""


class NotSignedIn(Exception):
    """The server does not let the account in now."""

    def __init__(self, reason: str, until: datetime | None = None) -> None:
        super().__init__(reason)
        self.reason, self.until = reason, until


class Sessions:
    """The one session of an account. `connect` opens the database."""

    def __init__(
        self, server: str, handle: str, password: str, variable: str, connect: "Callable[[], Connection]"
    ) -> None:
        self._server, self._handle, self._password = server, handle, password
        self._variable, self._connect = variable, connect
        self._seal = Seal(password, server, handle)

    def get(self, http: httpx.Client, stale: Session | None = None) -> Session:
        """A session whose end is not near, and another than `stale`, which the server did not take.

        Raises NotSignedIn.
        """
        with self._connect() as connection:
            kept = sessions.read(connection, self._server, self._handle)
            if (session := self._usable(kept, stale)) is not None:
                return session
            with sessions.alone(connection, self._server, self._handle) as kept:
                if (session := self._usable(kept, stale)) is not None:  # another has renewed it meanwhile
                    return session
                found = self._renewed(http, kept) or self._signed_in(http, kept)
                sessions.keep(connection, self._server, self._handle, found)
        session = self._opened(found)
        if session is None:
            raise NotSignedIn(str(found.refused), found.refused_until)
        return session

    def _usable(self, kept: Kept, stale: Session | None) -> Session | None:
        session = self._opened(kept)
        if session is None or (stale and session.access == stale.access):
            return None
        return session if _end(session.access) - EARLY > datetime.now(UTC) else None

    def _opened(self, kept: Kept) -> Session | None:
        data = self._seal.open(kept.session) if kept.session else None
        return Session(**json.loads(data)) if data else None

    def _renewed(self, http: httpx.Client, kept: Kept) -> Kept | None:
        """A new session for the kept one; None where that is over, so that the password is needed.

        Raises NotSignedIn where the server does not say.
        """
        session = self._opened(kept)
        if session is None:
            return None
        answer = call(http, f"{self._server}/xrpc/{SERVER}.refreshSession", session.refresh)
        if answer.status == 200 and (new := self._session(answer)):
            return new
        if answer.status in (400, 401):  # ExpiredToken, InvalidToken
            return None
        raise self._unavailable(answer)

    def _signed_in(self, http: httpx.Client, kept: Kept) -> Kept:
        """A session for the password, or why the server refuses one.

        Raises NotSignedIn where it does not say, and where it is not asked because it refused one before.
        """
        asked_of_us = kept.refused_token in (None, self._seal.token)  # not where another password was refused
        if asked_of_us and kept.refused_until and kept.refused_until > datetime.now(UTC):
            raise NotSignedIn(str(kept.refused), kept.refused_until)
        url = f"{self._server}/xrpc/{SERVER}.createSession"
        answer = call(http, url, None, {"identifier": self._handle, "password": self._password})
        if answer.status == 200 and (new := self._session(answer)):
            return new
        if answer.status in (400, 401, 403):
            why = f"{self._server} does not sign {self._handle} in ({answer.words})"
            why += f"; make an app password in Bluesky's settings and set {self._variable}"
            return Kept(None, why, self._seal.token, datetime.now(UTC) + TRY_AGAIN)
        if answer.status == 429:
            why = f"{self._server} takes no more sign-ins of {self._handle} for now ({answer.words})"
            return Kept(None, why, None, answer.until or datetime.now(UTC) + BUSY)
        raise self._unavailable(answer)

    def _session(self, answer: Answer) -> Kept | None:
        """What an answer with a session holds, sealed; None where it holds none."""
        try:
            body = answer.body
            session = Session(body["did"], body["accessJwt"], body["refreshJwt"], self._pds(body))
            _end(session.access)
        except (KeyError, TypeError, ValueError):
            return None
        return Kept(self._seal.close(json.dumps(asdict(session)).encode()))

    def _pds(self, body: dict[str, object]) -> str:
        """Where the account lies, by its DID document; as safe as the way to the server that it signs in at."""
        document = body.get("didDoc")
        for service in (document.get("service") or ()) if isinstance(document, dict) else ():
            if str(service.get("id", "")).endswith("#atproto_pds"):
                address = str(service.get("serviceEndpoint")).rstrip("/")
                if urlsplit(address).scheme in ("https", urlsplit(self._server).scheme):
                    return address
        return self._server

    def _unavailable(self, answer: Answer) -> NotSignedIn:
        return NotSignedIn(f"{self._server} does not sign {self._handle} in ({answer.words})", answer.until)


def _end(token: str) -> datetime:
    """When a JWT ends. Raises ValueError where it does not say."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        return datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"], UTC)
    except (KeyError, TypeError) as error:
        raise ValueError("no end") from error
