"""Encryption of an account's session: AES-GCM, with a key that scrypt makes of the account's app password.

So whoever reads the database alone can neither post nor test guesses cheaply, and a changed password opens nothing:
then the account signs in anew.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property

NONCE = 12  # bytes
COST = 2**14  # scrypt's n: 16 MB and some 50 ms, once per run


@dataclass(frozen=True)
class Seal:
    """Seals what belongs to one account on one server."""

    password: str
    server: str
    handle: str

    def close(self, data: bytes) -> bytes:
        """Encrypt."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self._key).encrypt(nonce, data, self._about)

    def open(self, sealed: bytes) -> bytes | None:
        """Decrypt; None where it was sealed with another password, for another account, or was changed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._key).decrypt(sealed[:NONCE], sealed[NONCE:], self._about)
        except (InvalidTag, ValueError):
            return None

    @property
    def token(self) -> bytes:
        """Tells, for who has the password, whether another token was made of the same one."""
        return hashlib.sha256(b"refused" + self._key).digest()

    @property
    def _about(self) -> bytes:
        return f"mynah session {self.server} {self.handle}".encode()

    @cached_property
    def _key(self) -> bytes:
        salt = hashlib.sha256(self._about).digest()
        return hashlib.scrypt(self.password.encode(), salt=salt, n=COST, r=8, p=1, dklen=32)
