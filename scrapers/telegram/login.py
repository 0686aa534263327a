"""Sign in to Telegram, once, and keep the session for the scrapes to come."""

import os
from collections.abc import Callable
from pathlib import Path

from telethon import errors

from mynah.errors import UsageError
from mynah.settings import Settings
from scrapers.telegram.client import Client, session_file

KEY_BYTES = 256


def login(session: str, settings: Settings, ask: Callable[[str], str], ask_secret: Callable[[str], str]) -> Path:
    """Sign in with a phone number, the code that Telegram sends, and the password where there is one.

    The session, which is as good as the account, is written to a file that only its owner may read; returns its path.
    Raises MynahError, and UsageError where Telegram does not take what was answered.
    """
    while True:
        with Client("", settings) as client:
            # One key in 256 begins with a zero byte, which a session that is kept as text loses.
            if len(client.telethon.session.auth_key.key) != KEY_BYTES:
                continue
            _sign_in(client, ask, ask_secret)
            kept = client.telethon.session.save()
        return _write(session_file(session, settings), kept)


def _sign_in(client: Client, ask: Callable[[str], str], ask_secret: Callable[[str], str]) -> None:
    try:
        phone = ask("Phone number of the account, with the country's code")
        client.ask(lambda: client.telethon.send_code_request(phone))
        code = ask("Code that Telegram has sent")
        try:
            client.ask(lambda: client.telethon.sign_in(phone, code))
        except errors.SessionPasswordNeededError:
            password = ask_secret("Password (two-step verification)")
            client.ask(lambda: client.telethon.sign_in(password=password))
    except (errors.BadRequestError, errors.UnauthorizedError) as error:
        said = str(error).partition(" (caused by")[0].rstrip(".")
        raise UsageError(f"Telegram does not sign you in: {said}: run this again") from None


def _write(file: Path, text: str) -> Path:
    """Whole or not at all, and for nobody else to read."""
    fresh = file.with_name(f"{file.name}.new")
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
    fresh.replace(file)
    return file
