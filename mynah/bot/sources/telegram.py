"""The source `telegram`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mynah.bot.section import Unit
from mynah.bot.sources.source import Source


def _channel(value: str) -> str:
    """NAME, @NAME or an address of the channel → NAME."""
    name = value.strip().removeprefix("https://").removeprefix("t.me/").removeprefix("s/").removeprefix("@").strip("/")
    if not (name.isascii() and name.replace("_", "").isalnum() and 4 <= len(name) <= 32):
        raise ValueError(f"{value!r} names no public channel: write its name, as in https://t.me/NAME")
    return name


class TelegramSource(Source):
    """A public channel on Telegram: by the pages that everybody may read (t.me/s/NAME), or with a session, by
    Telegram's API."""

    kind: Literal["telegram"]
    """What sort of source this is."""
    channel: Annotated[str, Unit("name"), AfterValidator(_channel)]
    """The channel's name or its address."""
    limit: Annotated[int | None, Unit("posts")] = Field(default=None, ge=1)
    """How far the first scrape goes back: about so many posts, or to the channel's beginning. Later ones read what is
    new."""
    session: Annotated[str | None, Unit("file")] = Field(default=None, min_length=1)
    """Read through Telegram's API, as the account whose session lies in this file of `MYNAH_HOME`; `mynah scrape BOT
    --login` writes it. That gives what the preview pages leave out, and channels that show none. It takes
    `TELEGRAM_API_ID` and `TELEGRAM_API_HASH` from my.telegram.org. Where `TELEGRAM_SESSION` is set, it is
    the session itself, and no file is read."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with `TELEGRAM_API_ID`, `TELEGRAM_API_HASH` and `TELEGRAM_SESSION`, for a source with a
    session. A bot has one account on Telegram, so its sources name the same."""
