"""How a client's key comes to be a user's: by a code that was handed to that user.

A code is 128 random bits, so what is kept is a plain digest of it. Codes that are used up or have
expired are kept for a while, so that who comes late is told why.
"""

from __future__ import annotations

import enum
import hashlib
import sqlite3
from dataclasses import dataclass

# How long what a code was for is remembered, after it has expired.
REMEMBER_SECONDS = 30 * 24 * 3600


@enum.unique
class CodeFault(enum.Enum):
    """Why a code lets nobody in."""

    UNKNOWN = "there is no such code"
    USED_UP = "this invite has been used"
    EXPIRED = "this invite has expired"


@dataclass(frozen=True, slots=True)
class CodeTerms:
    """How many keys a code enrols, and until when; `now` is when it is made. Seconds since 1970."""

    uses: int
    expires: int
    now: int


def digest_of(code: bytes) -> bytes:
    """What is kept of a code."""
    return hashlib.sha256(b"underpass code" + code).digest()


def add_code(database: sqlite3.Connection, name: str, digest: bytes, terms: CodeTerms) -> None:
    """Keep a code, and forget those that expired long ago. `sqlite3.IntegrityError`: no user."""
    database.execute("DELETE FROM codes WHERE expires < ?", (terms.now - REMEMBER_SECONDS,))
    row = (digest, name, terms.uses, terms.expires)
    database.execute("INSERT INTO codes (digest, name, uses, expires) VALUES (?, ?, ?, ?)", row)


def enrol(
    database: sqlite3.Connection, digest: bytes, public_key: bytes, now: int
) -> str | CodeFault:
    """Give a key to the user whom the code invites; the user's name. Within a transaction."""
    query = "SELECT name FROM keys WHERE public_key = ?"
    row = database.execute(query, (public_key,)).fetchone()
    if row is not None:
        return str(row[0])
    query = "SELECT name, uses, expires FROM codes WHERE digest = ?"
    row = database.execute(query, (digest,)).fetchone()
    if row is None:
        return CodeFault.UNKNOWN
    name, uses, expires = row
    if now >= expires:
        return CodeFault.EXPIRED
    if uses < 1:
        return CodeFault.USED_UP
    database.execute("UPDATE codes SET uses = uses - 1 WHERE digest = ?", (digest,))
    database.execute(
        "INSERT INTO keys (public_key, name, added) VALUES (?, ?, ?)", (public_key, name, now)
    )
    return str(name)
