"""An account's connection to Telegram, by Telethon, which waits as long as Telegram asks."""

import asyncio
import binascii
import logging
import struct
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from telethon import TelegramClient, errors
from telethon.errors.common import AuthKeyNotFound
from telethon.sessions import StringSession

from mynah.errors import MynahError, UsageError
from mynah.settings import Settings

MAX_WAIT = 3600  # seconds: who is told to wait longer had better come again
TIMEOUT = 120.0  # seconds for an answer: Telethon connects anew for ever, as long as somebody listens
DC = 2  # the data centre that a new account is first sent to; Telegram names another where need be

LOGIN = "`mynah scrape BOT --login` writes a new one"

T = TypeVar("T")


def session_file(name: str, settings: Settings) -> Path:
    """Where the session with this name lies: below MYNAH_HOME, or where an absolute path says."""
    return settings.home / name


class Client:
    """Telethon's client in an event loop of its own, for as long as a `with` lasts."""

    def __init__(self, session: str, settings: Settings) -> None:
        """Of the account whose session this is; "" begins a new one. Raises UsageError."""
        try:
            kept = StringSession(session)
        except (ValueError, struct.error, binascii.Error):
            raise UsageError(f"the session is cut off, or none of Telegram's: {LOGIN}") from None
        if not session and settings.telegram_server:
            kept.set_dc(DC, *settings.telegram_server)
        silent = logging.getLogger("mynah.telethon")  # what it has to say comes as an error too
        silent.setLevel(logging.CRITICAL + 1)
        self._runner = asyncio.Runner()
        self.telethon = TelegramClient(
            kept,
            *settings.telegram_api(),
            flood_sleep_threshold=0,  # else it waits in silence
            receive_updates=False,
            connection_retries=3,
            app_version="mynah",
            base_logger=silent,
        )

    def __enter__(self) -> "Client":
        try:
            self.ask(self.telethon.connect)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        async def disconnect() -> None:
            await self.telethon.disconnect()

        self._runner.run(disconnect())
        self._runner.close()

    def ask(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `request` gives; asked for again after the time that Telegram asks to wait, which is told.

        Raises MynahError where Telegram gives no answer. Other errors of Telegram's are Telethon's.
        """
        return self._runner.run(self._ask(request))

    async def _ask(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while True:
            try:
                async with asyncio.timeout(TIMEOUT):
                    return await request()
            except errors.FloodWaitError as flood:
                if flood.seconds > MAX_WAIT:
                    hours = flood.seconds / 3600
                    raise MynahError(f"Telegram asks to wait {hours:.1f} hours: come again then") from None
                print(f"Telegram asks to wait {flood.seconds} s: asking again then", file=sys.stderr, flush=True)
                await asyncio.sleep(flood.seconds)
            except errors.ApiIdInvalidError:
                raise UsageError("Telegram does not know TELEGRAM_API_ID with this TELEGRAM_API_HASH") from None
            except AuthKeyNotFound:
                raise MynahError(f"Telegram no longer knows the session: {LOGIN}") from None
            except (OSError, TimeoutError, errors.ServerError) as error:
                raise MynahError(
                    f"Telegram gives no answer ({str(error) or 'none in time'}): try again later"
                ) from None
