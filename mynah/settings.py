"""The environment, read once, here alone. Ray's and the clouds' own variables are theirs."""

import fcntl
import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mynah.errors import MynahError, UsageError

if TYPE_CHECKING:
    from mynah.bucket import Bucket
    from mynah.database.connection import Connection

PG_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGUSER", "PGPORT")
X_KEYS = ("X_API_KEY", "X_API_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")
LEAST_KEY = 32  # characters of a key that signs
AllowPrivate = bool | frozenset[str]
"""Whether http sources may lead to private addresses: True, False, or the hosts which may."""


@dataclass(frozen=True)
class Settings:
    """What the variables say that `mynah --help` lists; an empty one counts as not set."""

    home: Path
    """MYNAH_HOME, absolute: where local state lies."""
    bucket_url: str
    database_url: str | None
    """libpq's connection string; "" leaves everything to PG*; None: the embedded server."""
    bots: Path
    endpoint: str
    allow_private: AllowPrivate
    data: Path | None
    """The only folder whose files a source may read; None: any regular file of this machine."""
    user: str
    """Who decides: written beside every decision and promotion."""
    environment: Mapping[str, str]
    """The rest, for the methods below."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the environment."""
        home = Path(env.get("MYNAH_HOME") or ".mynah").expanduser().absolute()
        # Any of PG*: an empty connection string leaves the rest to libpq.
        database_url = env.get("DATABASE_URL") or ("" if any(env.get(name) for name in PG_VARIABLES) else None)
        data = env.get("MYNAH_DATA")
        return cls(
            home=home,
            bucket_url=env.get("MYNAH_BUCKET") or f"file://{home / 'bucket'}",
            database_url=database_url,
            bots=Path(env.get("MYNAH_BOTS") or "bots"),
            endpoint=env.get("MYNAH_ENDPOINT") or "http://127.0.0.1:8080",
            allow_private=_allow_private(env.get("MYNAH_ALLOW_PRIVATE", "")),
            data=Path(data).expanduser().absolute() if data else None,
            user=env.get("MYNAH_USER") or _login_name(),
            environment=env,
        )

    @cached_property
    def bucket(self) -> "Bucket":
        from mynah.bucket import Bucket

        return Bucket(self.bucket_url)

    def x_keys(self, prefix: str = "") -> tuple[str, ...] | None:
        """The four keys of an account on X, from the variables that begin with `prefix`; None where none is set.

        Raises UsageError where some are set and others not.
        """
        keys = {prefix + name: self.environment.get(prefix + name, "") for name in X_KEYS}
        missing = [name for name, value in keys.items() if not value]
        if missing and len(missing) < len(keys):
            raise UsageError(f"{', '.join(missing)} not set: posting to X needs all of {', '.join(keys)}, or none")
        return None if missing else tuple(keys.values())

    def endpoint_of(self, bot: str) -> str:
        """Where a bot's model is served: MYNAH_ENDPOINT may have {bot} for its name."""
        return self.endpoint.replace("{bot}", bot)

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The keys that a model server takes; clients of ours bring the first."""
        return tuple(self.environment.get("MYNAH_API_KEY", "").replace(",", " ").split())

    @property
    def signing_key(self) -> str | None:
        """What signs the links in alerts. Raises UsageError where it is too short to be a secret."""
        key = self.environment.get("MYNAH_SIGNING_KEY") or None
        if key and len(key) < LEAST_KEY:
            raise UsageError(
                f"MYNAH_SIGNING_KEY has {len(key)} characters, and {LEAST_KEY} are the least: openssl rand -hex 32"
            )
        return key

    @property
    def alerts(self) -> tuple[str, ...]:
        """Where alerts go: addresses as apprise takes them."""
        return tuple(self.environment.get("MYNAH_ALERTS", "").split())

    def x_bearer_token(self, prefix: str = "") -> str | None:
        """The token with which an app reads X, from the variable that begins with `prefix`."""
        return self.environment.get(f"{prefix}X_BEARER_TOKEN") or None

    def account_key(self, name: str, prefix: str = "") -> str | None:
        """What the environment has of an account, such as MASTODON_ACCESS_TOKEN, under a name that begins so."""
        return self.environment.get(prefix + name) or None

    @property
    def x_api_url(self) -> str | None:
        """Another host for X's API."""
        return self.environment.get("X_API_URL") or None

    @property
    def telegram_url(self) -> str:
        """Where the preview pages of Telegram's channels are."""
        return self.environment.get("TELEGRAM_URL") or "https://t.me"

    def telegram_api(self) -> tuple[int, str]:
        """The id and the hash of an application of Telegram's API. Raises UsageError where they are not set."""
        id, secret = (self.environment.get(name, "") for name in ("TELEGRAM_API_ID", "TELEGRAM_API_HASH"))
        if not id.isdecimal() or not secret:
            raise UsageError("TELEGRAM_API_ID and TELEGRAM_API_HASH are not set: get them at https://my.telegram.org")
        return int(id), secret

    @property
    def telegram_session(self) -> str | None:
        """The session of an account on Telegram, instead of the file that a source names."""
        return self.environment.get("TELEGRAM_SESSION") or None

    @property
    def telegram_server(self) -> tuple[str, int] | None:
        """Where to sign in instead of Telegram's own servers, such as its test servers. Raises UsageError."""
        value = self.environment.get("TELEGRAM_SERVER")
        if not value:
            return None
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal():
            raise UsageError(f"TELEGRAM_SERVER={value}: want ADDRESS:PORT, such as 149.154.167.40:443")
        return host, int(port)

    @property
    def mastodon_url(self) -> str | None:
        """A server that is asked for every account on Mastodon, not each account's own."""
        return self.environment.get("MASTODON_URL") or None

    @property
    def bluesky_url(self) -> str:
        """Which server of Bluesky is asked what account has a handle."""
        return self.environment.get("BLUESKY_URL") or "https://public.api.bsky.app"

    @property
    def plc_url(self) -> str:
        """The directory of Bluesky's identities: on which server an account lies."""
        return self.environment.get("PLC_URL") or "https://plc.directory"

    def connect(self) -> "Connection":
        """The database, with every table that this version knows. Raises MynahError."""
        from mynah.database.connection import connect

        self.make_home()
        return connect(self.database_url, self.home, self.user)

    def make_home(self) -> Path:
        """MYNAH_HOME, made where it is missing. Raises MynahError where it cannot be written."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink(missing_ok=True)  # another thread may have been quicker
        except OSError as error:
            raise MynahError(f"MYNAH_HOME={self.home} cannot be written: {error.strerror}; set another") from None
        return self.home

    @contextmanager
    def alone(self, bot: str, verb: str) -> Iterator[None]:
        """Only one `mynah VERB BOT` at a time in this home; the lock goes with the process."""
        with (self.make_home() / f"{bot}-{verb}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MynahError(f"another `mynah {verb} {bot}` is at work: wait for it, or stop it") from None
            yield


def _allow_private(value: str) -> AllowPrivate:
    """0, 1, or hosts with commas between them."""
    if value.strip() in ("", "0", "1"):
        return value.strip() == "1"
    return frozenset(host.strip().lower().strip("[]") for host in value.split(",") if host.strip())


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
