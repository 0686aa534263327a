"""How a client and the server come to have a key that nobody else knows (core.telegram.org/mtproto/auth_key)."""

import os
import struct
import time
from hashlib import sha1
from typing import Any

import rsa
from telethon import helpers
from telethon.crypto import AES, AuthKey
from telethon.crypto.rsa import get_byte_array
from telethon.extensions import BinaryReader
from telethon.tl import TLObject, functions, types

# The modulus that Telegram's servers use; clients know it for a good one.
DH_PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543"
    "AED44CCE7C3720FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC49880708FA9B"
    "378E3C4F3A9060BEE67CF9A4A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1"
    "178D169C6BC465B0D6FF9CA3928FEF5B9AE4E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE"
    "2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
G = 3
PRIMES = (0x494C553B, 0x53911073)  # the client has to part their product: a little work, against floods of clients


# The RSA key by which clients know the server. Anybody may have it: it opens nothing but a simulator.
P = int(
    "bf1d91940e975b7f7cdc3a80bd7d8a6e3fabc62c46ba01c6e05e4f0cacbd1a70c45215abe196a4737789477123f903d6e775ed332a87f3c13b13"
    "cf77816f92952b1c43ca03045732790b1c295525e6c9d89d26e58b0aa4d36e7c3087d1253f57c20267ef79a79e51fac0c298fc296da6ed9b003e"
    "49e77227f1f2072bc6601af138cfd0fe1a7bb193",
    16,
)
Q = int(
    "d4e9cad4431abb4d19204138924450e2fce19e8342c1ca9b604cec8e12ee33c11ce9a1ead5c77ffc93ff1ec054008dfa982ebccce4deed35cacf"
    "e9b94102d88d6a86cc9c2a52e88a883cfbc57ffce33a2ba627dfe8054f0c6cff8e6cd8ce18a821a9d8f15d9267aa49f4d92454e37f27a9e04ee6"
    "1011f627",
    16,
)
PUBLIC = rsa.PublicKey(P * Q, 65537)
PUBLIC_PEM: str = PUBLIC.save_pkcs1().decode()
_PRIVATE = pow(PUBLIC.e, -1, (P - 1) * (Q - 1))


def _fingerprint() -> int:
    n, e = (TLObject.serialize_bytes(get_byte_array(number)) for number in (PUBLIC.n, PUBLIC.e))
    number: int = struct.unpack("<q", sha1(n + e).digest()[-8:])[0]  # noqa: S324 (as Telegram does)
    return number


class Handshake:
    """One client's, from its first request to the key."""

    def __init__(self) -> None:
        self._server_nonce = int.from_bytes(os.urandom(16), "little", signed=True)
        self._secret = int.from_bytes(os.urandom(256), "big")
        self.auth_key: AuthKey | None = None
        """Known after the last step."""

    def answer(self, request: Any) -> TLObject:
        """The next step. Raises KeyError for what is no step."""
        step = {
            functions.ReqPqMultiRequest: self._begin,
            functions.ReqDHParamsRequest: self._offer,
            functions.SetClientDHParamsRequest: self._end,
        }[type(request)]
        return step(request)

    def _begin(self, request: Any) -> TLObject:
        return types.ResPQ(
            nonce=request.nonce,
            server_nonce=self._server_nonce,
            pq=get_byte_array(PRIMES[0] * PRIMES[1]),
            server_public_key_fingerprints=[_fingerprint()],
        )

    def _offer(self, request: Any) -> TLObject:
        number = pow(int.from_bytes(request.encrypted_data, "big"), _PRIVATE, PUBLIC.n)
        opened = number.to_bytes(255, "big")[20:]  # what comes before is its SHA-1
        self._new_nonce = BinaryReader(opened).tgread_object().new_nonce
        self._cipher = helpers.generate_key_data_from_nonce(self._server_nonce, self._new_nonce)
        inner = bytes(
            types.ServerDHInnerData(
                nonce=request.nonce,
                server_nonce=self._server_nonce,
                g=G,
                dh_prime=get_byte_array(DH_PRIME),
                g_a=get_byte_array(pow(G, self._secret, DH_PRIME)),
                server_time=int(time.time()),
            )
        )
        encrypted = AES.encrypt_ige(sha1(inner).digest() + inner, *self._cipher)  # noqa: S324 (as Telegram does)
        return types.ServerDHParamsOk(request.nonce, self._server_nonce, encrypted)

    def _end(self, request: Any) -> TLObject:
        inner = BinaryReader(AES.decrypt_ige(request.encrypted_data, *self._cipher)[20:]).tgread_object()
        shared = pow(int.from_bytes(inner.g_b, "big"), self._secret, DH_PRIME)
        self.auth_key = AuthKey(get_byte_array(shared))
        return types.DhGenOk(request.nonce, self._server_nonce, self.auth_key.calc_new_nonce_hash(self._new_nonce, 1))
