"""One client's connection: packets (core.telegram.org/mtproto/mtproto-transports, "full"), and what they seal."""

import asyncio
import itertools
import os
import struct
import time
from collections.abc import Callable, MutableMapping
from hashlib import sha256
from typing import Any
from zlib import crc32

from telethon.crypto import AES, AuthKey
from telethon.extensions import BinaryReader
from telethon.network.mtprotostate import MTProtoState
from telethon.tl import TLObject, functions, types
from telethon.tl.core import GzipPacked, MessageContainer, RpcResult

from simulators.telegram.handshake import Handshake

PADDING = 12  # bytes, at least
WRAPPERS = (
    functions.InvokeWithLayerRequest,
    functions.InitConnectionRequest,
    functions.InvokeWithoutUpdatesRequest,
)
_message_numbers = itertools.count()


class Connection:
    """Reads requests and writes what `answer` says to them. `keys` are the clients' keys, by their ids."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        keys: MutableMapping[int, AuthKey],
        answer: Callable[[int, Any], bytes],
    ) -> None:
        self._reader, self._writer = streams
        self._handshake = Handshake()
        self._keys = keys
        self._answer = answer
        self._sent = 0

    async def serve(self) -> None:
        """Until the client hangs up."""
        try:
            while True:
                packet = await self._receive()
                if packet[:8] == bytes(8):
                    self._plain(packet)
                else:
                    self._encrypted(packet)
                await self._writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writer.close()

    async def _receive(self) -> bytes:
        length, _number = struct.unpack("<ii", await self._reader.readexactly(8))
        return (await self._reader.readexactly(length - 8))[:-4]  # the last four are its checksum

    def _send(self, data: bytes) -> None:
        packet = struct.pack("<ii", len(data) + 12, self._sent) + data
        self._sent += 1
        self._writer.write(packet + struct.pack("<I", crc32(packet)))

    def _plain(self, packet: bytes) -> None:
        answer = bytes(self._handshake.answer(BinaryReader(packet[20:]).tgread_object()))
        self._send(struct.pack("<qqi", 0, _message_id(), len(answer)) + answer)
        if key := self._handshake.auth_key:
            self._keys[key.key_id] = key

    def _encrypted(self, packet: bytes) -> None:
        (id,) = struct.unpack("<Q", packet[:8])
        if id not in self._keys:
            self._send(struct.pack("<i", -404))  # as Telegram says that it does not know a key
            raise ConnectionResetError
        key = self._keys[id]
        data = AES.decrypt_ige(packet[24:], *MTProtoState._calc_key(key.key, packet[8:24], True))
        _salt, session, id_of_all, _sequence, length = struct.unpack("<qqqii", data[:32])
        for message, request in _requests(id_of_all, BinaryReader(data[32 : 32 + length]).tgread_object()):
            if isinstance(request, types.MsgsAck):
                continue
            if isinstance(request, functions.PingRequest):
                said = bytes(types.Pong(message, request.ping_id))
            else:
                said = struct.pack("<Iq", RpcResult.CONSTRUCTOR_ID, message) + self._answer(id, request)
            self._send(_sealed(key, session, said))


def _requests(message: int, data: Any) -> list[tuple[int, TLObject]]:
    """The requests in a message, each with the id to answer to."""
    if isinstance(data, MessageContainer):
        return [pair for inner in data.messages for pair in _requests(inner.msg_id, inner.obj)]
    if isinstance(data, GzipPacked):
        return _requests(message, BinaryReader(data.data).tgread_object())
    while isinstance(data, WRAPPERS):
        data = data.query
    return [(message, data)]


def _sealed(key: AuthKey, session: int, data: bytes) -> bytes:
    """A message to the client (core.telegram.org/mtproto/description)."""
    plain = struct.pack("<qqqii", 0, session, _message_id(), 1, len(data)) + data
    plain += os.urandom(-(len(plain) + PADDING) % 16 + PADDING)
    message_key = sha256(key.key[96 : 96 + 32] + plain).digest()[8:24]
    encrypted = AES.encrypt_ige(plain, *MTProtoState._calc_key(key.key, message_key, False))
    return struct.pack("<Q", key.key_id) + message_key + bytes(encrypted)


def _message_id() -> int:
    """Grows with the time, and is odd, as the server's are."""
    return (int(time.time()) << 32) | (next(_message_numbers) << 2) | 1
