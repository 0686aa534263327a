"""The second step of signing in: the server's side of SRP (core.telegram.org/api/srp)."""

import os
from typing import Any

from telethon.password import compute_digest, sha256, xor
from telethon.tl import types
from telethon.tl.types import PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow as Algorithm

from simulators.telegram.handshake import DH_PRIME, G


class Password:
    """What is asked of a client that says it knows the password, and whether it does."""

    def __init__(self, password: str) -> None:
        self._algorithm = Algorithm(os.urandom(8), os.urandom(16), G, _bytes(DH_PRIME))
        self._verifier = int.from_bytes(compute_digest(self._algorithm, password), "big")
        self._secret = int.from_bytes(os.urandom(256), "big")
        factor = _number(_bytes(DH_PRIME), _bytes(G))
        self._public = _bytes((factor * self._verifier + pow(G, self._secret, DH_PRIME)) % DH_PRIME)
        self.question = types.account.Password(
            new_algo=self._algorithm,
            new_secure_algo=types.SecurePasswordKdfAlgoUnknown(),
            secure_random=os.urandom(8),
            has_password=True,
            current_algo=self._algorithm,
            srp_B=self._public,
            srp_id=1,
        )

    def is_proven(self, answer: Any) -> bool:
        """Whether an InputCheckPasswordSRP comes of the password."""
        scramble = _number(answer.A, self._public)
        base = int.from_bytes(answer.A, "big") * pow(self._verifier, scramble, DH_PRIME)
        proof = sha256(
            xor(sha256(_bytes(DH_PRIME)), sha256(_bytes(G))),
            sha256(self._algorithm.salt1),
            sha256(self._algorithm.salt2),
            answer.A,
            self._public,
            sha256(_bytes(pow(base, self._secret, DH_PRIME))),
        )
        return bool(proof == answer.M1)


def _bytes(number: int) -> bytes:
    return number.to_bytes(256, "big")


def _number(*parts: bytes) -> int:
    return int.from_bytes(sha256(*parts), "big")
