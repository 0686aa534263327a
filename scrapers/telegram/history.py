"""A channel's history through Telegram's API, by an account's session."""

from collections.abc import Iterator
from contextlib import contextmanager

from telethon import errors
from telethon.tl.types import Message, MessageService

from mynah.bot.sources.telegram import TelegramSource
from mynah.document import Document
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings
from scrapers.telegram.client import LOGIN, Client, session_file
from scrapers.walk import Id, Read, Stretch

PAGE = 100  # posts: as many as Telegram gives at once


@contextmanager
def reader(source: TelegramSource, session: str, settings: Settings) -> Iterator[Read]:
    """Reads the posts of `source`'s channel before one, or the newest; `session` names the session's file.

    Raises MynahError with one line where the session or the channel cannot be used.
    """
    with Client(_read_session(session, settings), settings) as client:
        if not client.ask(client.telethon.is_user_authorized):
            raise MynahError(f"Telegram no longer takes the session: {LOGIN}")
        try:
            channel = client.ask(lambda: client.telethon.get_input_entity(source.channel))
        except (ValueError, errors.UsernameInvalidError):
            raise MynahError(f"Telegram has no channel {source.channel}: check its name") from None

        def read(before: Id | None) -> Stretch:
            try:
                messages = client.ask(lambda: client.telethon.get_messages(channel, limit=PAGE, offset_id=before or 0))
            except errors.ChannelPrivateError:
                raise MynahError(f"{source.channel} is private: let the session's account join it") from None
            posts: dict[Id, Document | None] = {
                message.id: None
                if isinstance(message, MessageService) or not message.message
                else _document(source.channel, message)
                for message in reversed(messages)
            }
            return Stretch(posts, min(posts) if len(posts) == PAGE else None)

        yield read


def _document(channel: str, message: Message) -> Document:
    counts = {"views": message.views, "forwards": message.forwards}
    return Document(
        id=f"{channel}/{message.id}",
        text=message.message,
        author=message.post_author or channel,
        created_at=message.date.isoformat(),
        numbers={name: count for name, count in counts.items() if count is not None},
        repost=message.fwd_from is not None,
    )


def _read_session(name: str, settings: Settings) -> str:
    if settings.telegram_session:
        return settings.telegram_session
    file = session_file(name, settings)
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no session yet: `mynah scrape BOT --login` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
