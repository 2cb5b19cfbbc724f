"""Password hashes by scrypt (RFC 7914), their cost written into each, so that it can change."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from underpass.errors import UserError

# OWASP's password storage sheet: N = 2^16, r = 8, p = 2, or as much work in another shape. 64 MiB
# and some 0.2 s for each guess.
COST = 2**16
BLOCK_SIZE = 8
PARALLEL = 2
SALT_BYTES = 16
HASH_BYTES = 32

# What a hash of the store may cost at most, so that a broken line can't take all memory: 1 GiB.
MAX_COST = 2**20
MAX_PARALLEL = 16

# Nobody types more, and hashing starts with a pass over all of it.
MAX_PASSWORD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """One password's hash, with all that is needed to check it."""

    salt: bytes
    digest: bytes
    cost: int = COST
    block_size: int = BLOCK_SIZE
    parallel: int = PARALLEL

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode("ascii") for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${self.block_size}${self.parallel}${salt}${digest}"

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read what `str` wrote. Raises `UserError`, as a broken store lets nobody in."""
        try:
            name, cost, block_size, parallel, salt, digest = text.split("$")
            if name != "scrypt":
                raise ValueError(name)
            parsed = cls(
                base64.b64decode(salt, validate=True),
                base64.b64decode(digest, validate=True),
                int(cost),
                int(block_size),
                int(parallel),
            )
            parsed._check()
        except (ValueError, binascii.Error):
            raise UserError("the user store holds a password hash that can't be read") from None
        return parsed

    @classmethod
    def of_nobody(cls, cost: int = COST) -> PasswordHash:
        """One that no password has, and that costs as much to check as one that somebody has."""
        return cls(os.urandom(SALT_BYTES), os.urandom(HASH_BYTES), cost)

    def _check(self) -> None:
        """Raise `ValueError` where checking would fail or cost too much."""
        bounded = 0 < self.cost <= MAX_COST and 0 < self.parallel <= MAX_PARALLEL
        if not bounded or self.block_size != BLOCK_SIZE:
            raise ValueError("too costly")
        self._function()

    def matches(self, password: str) -> bool:
        """Whether this is the hash of `password`, in the same time whatever differs. Slow."""
        secret = password.encode("utf-8")
        # No password has a control, and HMAC takes one with NULs at its end for the one without.
        if len(secret) > MAX_PASSWORD_BYTES or not password.isprintable():
            return False
        try:
            self._function().verify(secret, self.digest)
        except InvalidKey:
            return False
        return True

    def _function(self) -> Scrypt:
        return Scrypt(
            salt=self.salt,
            length=HASH_BYTES,
            n=self.cost,
            r=self.block_size,
            p=self.parallel,
        )


def hash_password(password: str, cost: int = COST) -> PasswordHash:
    """Hash a new password. Slow. Raises `UserError` for an empty or overlong one."""
    secret = password.encode("utf-8")
    if not secret or len(secret) > MAX_PASSWORD_BYTES:
        raise UserError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes")
    if not password.isprintable():
        # RFC 7617 section 2: Basic can't carry them.
        raise UserError("a password has no control characters")
    salt = os.urandom(SALT_BYTES)
    digest = PasswordHash(salt, b"", cost)._function().derive(secret)
    return PasswordHash(salt, digest, cost)
