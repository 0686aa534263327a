"""The simulated Telegram: what it knows, and its answers.

It speaks MTProto with Telethon's own classes: a client signs in with a code, and a password where one is set, finds
channels by their names and reads their history.
"""

import asyncio
import inspect
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from telethon.crypto import AuthKey
from telethon.tl import TLObject, functions, types

from simulators.telegram.connection import Connection
from simulators.telegram.password import Password

VECTOR = 0x1CB5C415
ME = types.User(id=777, is_self=True, access_hash=7, first_name="Simulated", phone="15550100")


class Refusal(Exception):
    """An error of Telegram's, by its code and name (core.telegram.org/api/errors)."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(name)
        self.code = code


@dataclass
class Telegram:
    """What the server knows. Tests change it while it runs."""

    channels: dict[str, list[types.Message]] = field(default_factory=dict)
    """Each channel's messages by its name, oldest first."""
    api: tuple[int, str] = (12345, "0123456789abcdef0123456789abcdef")
    """The only api id and hash that it takes."""
    phone: str = "15550100"
    code: str = "24680"
    """What it would send to the phone."""
    password: str | None = None
    """Asked for after the code, where it is set."""
    private: set[str] = field(default_factory=set)
    """Channels that its user may not read."""
    floods: list[int] = field(default_factory=list)
    """Seconds to wait that the next requests for history are answered with, one each."""
    hang_ups: int = 0
    """How many of the next requests for history the connection is cut at."""
    asked: list[int] = field(default_factory=list)
    """Before which message history was asked for and given, request by request; 0: from the newest on."""
    signed_in: set[int] = field(default_factory=set)
    """The keys that are."""
    keys: dict[int, AuthKey] = field(default_factory=dict)
    _asked: Password | None = None

    def answer(self, key: int, request: Any) -> bytes:
        """The result of a request, or its error, as it is sent."""
        try:
            answers: dict[type, Callable[[Any], TLObject]] = {
                functions.help.GetConfigRequest: lambda _: _blank(types.Config),
                functions.auth.SendCodeRequest: self._send_code,
                functions.auth.SignInRequest: lambda request: self._sign_in(key, request),
                functions.account.GetPasswordRequest: lambda _: self._password().question,
                functions.auth.CheckPasswordRequest: lambda request: self._check_password(key, request),
            }
            if (told := answers.get(type(request))) is not None:
                return bytes(told(request))
            if key not in self.signed_in:
                raise Refusal(401, "AUTH_KEY_UNREGISTERED")
            if isinstance(request, functions.users.GetUsersRequest):
                return struct.pack("<Ii", VECTOR, 1) + bytes(ME)
            if isinstance(request, functions.updates.GetStateRequest):
                return bytes(types.updates.State(1, 0, datetime.now(UTC), 1, 0))
            if isinstance(request, functions.updates.GetDifferenceRequest):
                return bytes(types.updates.DifferenceEmpty(datetime.now(UTC), 1))
            if isinstance(request, functions.contacts.ResolveUsernameRequest):
                return bytes(self._resolve(request.username))
            if isinstance(request, functions.messages.GetHistoryRequest):
                return bytes(self._history(request))
            raise Refusal(400, "METHOD_INVALID")
        except Refusal as refusal:
            return bytes(types.RpcError(refusal.code, str(refusal)))

    def _send_code(self, request: Any) -> TLObject:
        if (request.api_id, request.api_hash) != self.api:
            raise Refusal(400, "API_ID_INVALID")
        if request.phone_number != self.phone:
            raise Refusal(400, "PHONE_NUMBER_INVALID")
        return types.auth.SentCode(types.auth.SentCodeTypeApp(len(self.code)), phone_code_hash="sent")

    def _sign_in(self, key: int, request: Any) -> TLObject:
        if request.phone_code != self.code:
            raise Refusal(400, "PHONE_CODE_INVALID")
        if self.password:
            raise Refusal(401, "SESSION_PASSWORD_NEEDED")
        self.signed_in.add(key)
        return types.auth.Authorization(user=ME)

    def _check_password(self, key: int, request: Any) -> TLObject:
        if not self._password().is_proven(request.password):
            raise Refusal(400, "PASSWORD_HASH_INVALID")
        self.signed_in.add(key)
        return types.auth.Authorization(user=ME)

    def _password(self) -> Password:
        if self._asked is None:
            self._asked = Password(self.password or "")
        return self._asked

    def _resolve(self, name: str) -> TLObject:
        if name not in self.channels:
            raise Refusal(400, "USERNAME_NOT_OCCUPIED")
        channel = types.Channel(
            id=self._number(name),
            title=name,
            photo=types.ChatPhotoEmpty(),
            date=datetime.now(UTC),
            broadcast=True,
            access_hash=1,
            username=name,
        )
        return types.contacts.ResolvedPeer(types.PeerChannel(channel.id), chats=[channel], users=[])

    def _history(self, request: Any) -> TLObject:
        if self.hang_ups:
            self.hang_ups -= 1
            raise ConnectionResetError
        if self.floods:
            raise Refusal(420, f"FLOOD_WAIT_{self.floods.pop(0)}")
        name = next(name for name in self.channels if self._number(name) == request.peer.channel_id)
        if name in self.private:
            raise Refusal(400, "CHANNEL_PRIVATE")
        self.asked.append(request.offset_id)
        older = [m for m in self.channels[name] if not request.offset_id or m.id < request.offset_id]
        messages = [m for m in reversed(older[-min(request.limit, 100) :]) if m.id > request.min_id]
        return types.messages.ChannelMessages(
            pts=1, count=len(self.channels[name]), messages=messages, topics=[], chats=[], users=[]
        )

    def _number(self, name: str) -> int:
        return 1000 + list(self.channels).index(name)


def post(id: int, text: str, **more: Any) -> types.Message:
    """A message of a channel."""
    return types.Message(
        id=id,
        peer_id=types.PeerChannel(1000),
        date=datetime(2024, 1, 1, tzinfo=UTC),
        message=text,
        post=True,
        **more,
    )


@contextmanager
def serving(telegram: Telegram) -> Iterator[tuple[str, int]]:
    """Answer on loopback; yields the address and the port. A client has to know PUBLIC_PEM first."""
    loop = asyncio.new_event_loop()
    open_ones: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(Connection((reader, writer), telegram.keys, telegram.answer).serve())
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)

    async def stop(listening: asyncio.Server) -> None:
        listening.close()
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    listening = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0))
    host, port = listening.sockets[0].getsockname()[:2]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield host, port
    finally:
        asyncio.run_coroutine_threadsafe(stop(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _blank(kind: type) -> Any:
    """An object whose fields all are zero or empty: clients of this server read none of them."""
    empty = {"int": 0, "bool": False, "str": "", "bytes": b""}
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    return kind(
        **{
            parameter.name: datetime.now(UTC)
            if "date" in str(parameter.annotation)
            else empty.get(getattr(parameter.annotation, "__name__", str(parameter.annotation)), [])
            for parameter in parameters
            if parameter.default is inspect.Parameter.empty
        }
    )
